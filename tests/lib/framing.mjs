// SPDX-License-Identifier: Apache-2.0
// Raw requests that two programs in a row could read differently. Each carries a signed delivery, and behind
// it lies a second, hidden one, also rightly signed: whatever happens, the hidden one must never be stored,
// and the first one only with its exact bytes.
import crypto from 'node:crypto';
import net from 'node:net';

export const SECRET = 'a secret of sufficient length';
export const BODY = '{"which":"visible"}';
export const HIDDEN = '{"which":"hidden"}';

export const sign = (body, secret = SECRET) => `sha256=${crypto.createHmac('sha256', secret).update(body).digest('hex')}`;

// lines: those of the head behind the usual ones; omit: usual ones to leave out.
export function head({ body = BODY, start = 'POST /in/gh HTTP/1.1', delivery = crypto.randomUUID(), lines = [], omit = [], eol = '\r\n' } = {}) {
	const usual = [['Host', 'hooks.example.com'], ['Content-Type', 'application/json'], ['X-GitHub-Event', 'issues'],
		['X-GitHub-Delivery', delivery], ['X-Hub-Signature-256', sign(body)]];
	return [start, ...usual.filter(([name]) => !omit.includes(name)).map(([name, value]) => `${name}: ${value}`), ...lines].join(eol) + eol + eol;
}

const N = BODY.length;
const hex = N.toString(16);
const CL = `Content-Length: ${N}`;
const TE = 'Transfer-Encoding: chunked';
const one = `${hex}\r\n${BODY}\r\n0\r\n\r\n`;
const length = (...lines) => head({ lines: [CL, ...lines] }) + BODY;
const bare = (...lines) => head({ lines }) + BODY;
const chunked = (...lines) => head({ lines: [...lines] }) + one;
const chunks = (text, lines = [TE]) => head({ lines }) + text;
const hidden = () => head({ body: HIDDEN, delivery: `hidden-${crypto.randomUUID()}`, lines: [`Content-Length: ${HIDDEN.length}`] }) + HIDDEN;

// [name, bytes as latin1]
export const CORPUS = [
	// Two ideas of where the body ends (H1).
	['length and chunked', chunked(CL, TE)],
	['chunked and length', chunked(TE, CL)],
	['length 0 and chunked', chunked('Content-Length: 0', TE)],
	['chunked and length 0', chunked(TE, 'Content-Length: 0')],
	['chunked and a length that ends in the chunk', chunked(TE, 'Content-Length: 4')],
	['two lengths, the same', length(CL)],
	['two lengths, the first right', length('Content-Length: 0')],
	['two lengths, the second right', head({ lines: ['Content-Length: 0', CL] }) + BODY],
	['two lengths in one line', bare(`Content-Length: ${N}, ${N}`)],
	['two different lengths in one line', bare(`Content-Length: ${N}, 0`)],
	['length with a plus', bare(`Content-Length: +${N}`)],
	['length with a minus', bare('Content-Length: -1')],
	['length in hexadecimal', bare(`Content-Length: 0x${hex}`)],
	['length with zeros in front', bare(`Content-Length: 000${N}`)],
	['length with a fraction', bare(`Content-Length: ${N}.0`)],
	['length with text behind', bare(`Content-Length: ${N}abc`)],
	['length with a blank inside', bare('Content-Length: 1 9')],
	['empty length', bare('Content-Length:')],
	['length of 2^64 and more', bare('Content-Length: 18446744073709551635')],
	['length of 2^63', bare('Content-Length: 9223372036854775808')],
	['length of 100 digits', bare(`Content-Length: ${'9'.repeat(100)}`)],
	['two codings', chunked(TE, TE)],
	['two different codings', chunked(TE, 'Transfer-Encoding: identity')],
	// Codings that are not quite chunked (H2).
	['coding gzip, chunked', chunked('Transfer-Encoding: gzip, chunked')],
	['coding chunked, gzip', chunked('Transfer-Encoding: chunked, gzip')],
	['coding chunked, chunked', chunked('Transfer-Encoding: chunked, chunked')],
	['coding identity', chunked('Transfer-Encoding: identity')],
	['coding identity with a length', length('Transfer-Encoding: identity')],
	['coding x', chunked('Transfer-Encoding: x')],
	['coding xchunked with a length', length('Transfer-Encoding: xchunked')],
	['coding chunkedx with a length', length('Transfer-Encoding: chunkedx')],
	['coding in quotes', chunked('Transfer-Encoding: "chunked"')],
	['coding with a tab behind', chunked('Transfer-Encoding: chunked\t')],
	['coding with a tab in front', chunked('Transfer-Encoding:\tchunked')],
	['coding with a vertical tab', chunked('Transfer-Encoding: \x0bchunked')],
	['coding with a parameter', chunked('Transfer-Encoding: chunked;q=1')],
	['coding with a comma behind', chunked('Transfer-Encoding: chunked,')],
	['coding with a comma in front', chunked('Transfer-Encoding: ,chunked')],
	['coding in capitals', chunked('Transfer-Encoding: CHUNKED')],
	['empty coding with a length', length('Transfer-Encoding:')],
	['coding with a NUL', chunked('Transfer-Encoding: chunked\x00')],
	['coding under another name', length('Transfer_Encoding: chunked')],
	// Names that are none (H3).
	['a blank before the colon of the length', bare(`Content-Length : ${N}`)],
	['a tab before the colon of the length', bare(`Content-Length\t: ${N}`)],
	['a blank before the colon of the coding', length('Transfer-Encoding : chunked')],
	['a blank before the first name', head({ lines: [CL] }).replace('\r\nHost', '\r\n Host') + BODY],
	['a header without a colon', length('Nonsense')],
	['a header without a name', length(': x')],
	['a NUL in a name', length('X\x00A: b')],
	['a NUL in a value', length('X-A: b\x00c')],
	['a control byte in a name', length('X\x01A: b')],
	['a control byte in a value', length('X-A: b\x01c')],
	['a DEL in a value', length('X-A: b\x7fc')],
	['a bracket in a name', length('X(A): b')],
	['bytes from 128 on in a name', length('X\xe4: b')],
	['bytes from 128 on in a value', length('X-A: \xe4\xff')],
	// Lines that go on (H4).
	['a folded value', length('X-A: b\r\n c')],
	['a folded length', bare(`Content-Length:\r\n ${N}`)],
	['a folded coding', chunked('Transfer-Encoding:\r\n chunked')],
	['a length folded in its name', head({ lines: ['Content-Len: 0\r\n gth'] })],
	['a coding folded in its name', length('Transfer-Enc: chunked\r\n oding')],
	['a folded first line', head({ lines: [CL] }).replace('\r\nHost', '\r\n folded\r\nHost') + BODY],
	// Ends of lines (H5).
	['bare line feeds', head({ lines: [CL], eol: '\n' }) + BODY],
	['bare carriage returns', head({ lines: [CL], eol: '\r' }) + BODY],
	['a bare line feed before the length', length(`X-A: b\nContent-Length: 0`)],
	['a bare carriage return in a value', length('X-A: b\rContent-Length: 0')],
	['a line feed hides a coding', length('X-A: b\nTransfer-Encoding: chunked')],
	['two carriage returns', length('X-A: b\r\r\nX-C: d')],
	['empty lines in front', '\r\n\r\n' + length()],
	// Chunks.
	['chunks', chunked(TE)],
	['many small chunks', chunks([...BODY].map((c) => `1\r\n${c}\r\n`).join('') + '0\r\n\r\n')],
	['chunk size with zeros', chunks(`0000${hex}\r\n${BODY}\r\n0\r\n\r\n`)],
	['chunk size with 0x', chunks(`0x${hex}\r\n${BODY}\r\n0\r\n\r\n`)],
	['chunk size with a minus', chunks(`-1\r\n${BODY}\r\n0\r\n\r\n`)],
	['chunk size with a plus', chunks(`+${hex}\r\n${BODY}\r\n0\r\n\r\n`)],
	['chunk size with a blank', chunks(`${hex} \r\n${BODY}\r\n0\r\n\r\n`)],
	['chunk size with a blank in front', chunks(` ${hex}\r\n${BODY}\r\n0\r\n\r\n`)],
	['chunk size of 2^64', chunks(`10000000000000000\r\n${BODY}\r\n0\r\n\r\n`)],
	['chunk size of 2^64 and ours', chunks(`10000000000000013\r\n${BODY}\r\n0\r\n\r\n`)],
	['chunk size that is no number', chunks(`zz\r\n${BODY}\r\n0\r\n\r\n`)],
	['no chunk size', chunks(`\r\n${BODY}\r\n0\r\n\r\n`)],
	['a chunk longer than said', chunks(`1\r\n${BODY}\r\n0\r\n\r\n`)],
	['a chunk shorter than said', chunks(`${(N + 2).toString(16)}\r\n${BODY}\r\n0\r\n\r\n`)],
	['chunk extension', chunks(`${hex};a=b\r\n${BODY}\r\n0\r\n\r\n`)],
	['chunk extension with a line feed', chunks(`${hex};a\n${BODY}\r\n0\r\n\r\n`)],
	['chunk extension in quotes with an end of line', chunks(`${hex};a="\r\n"\r\n${BODY}\r\n0\r\n\r\n`)],
	['chunks with bare line feeds', chunks(`${hex}\n${BODY}\n0\n\n`)],
	['chunks with bare carriage returns', chunks(`${hex}\r${BODY}\r0\r\r`)],
	['trailers', chunks(`${hex}\r\n${BODY}\r\n0\r\nX-A: b\r\n\r\n`)],
	['a length in the trailers', chunks(`${hex}\r\n${BODY}\r\n0\r\nContent-Length: 0\r\n\r\n`)],
	['a delivery in the trailers', chunks(`${hex}\r\n${BODY}\r\n0\r\nX-GitHub-Delivery: other\r\n\r\n`)],
	['last chunk with many zeros', chunks(`${hex}\r\n${BODY}\r\n0000\r\n\r\n`)],
	['no last chunk', chunks(`${hex}\r\n${BODY}\r\n`)],
	['chunks in HTTP/1.0', head({ start: 'POST /in/gh HTTP/1.0', lines: [TE] }) + one],
	// The first line.
	['HTTP/1.0 with a length', head({ start: 'POST /in/gh HTTP/1.0', lines: [CL] }) + BODY],
	['HTTP/1.9', head({ start: 'POST /in/gh HTTP/1.9', lines: [CL] }) + BODY],
	['HTTP/2.0', head({ start: 'POST /in/gh HTTP/2.0', lines: [CL] }) + BODY],
	['HTTP/1.10', head({ start: 'POST /in/gh HTTP/1.10', lines: [CL] }) + BODY],
	['http in small letters', head({ start: 'POST /in/gh http/1.1', lines: [CL] }) + BODY],
	['no version', head({ start: 'POST /in/gh', lines: [CL] }) + BODY],
	['two blanks', head({ start: 'POST  /in/gh HTTP/1.1', lines: [CL] }) + BODY],
	['a tab', head({ start: 'POST\t/in/gh HTTP/1.1', lines: [CL] }) + BODY],
	['a blank behind the version', head({ start: 'POST /in/gh HTTP/1.1 ', lines: [CL] }) + BODY],
	['a NUL in the target', head({ start: 'POST /in/gh\x00 HTTP/1.1', lines: [CL] }) + BODY],
	['a fragment', head({ start: 'POST /in/gh#x HTTP/1.1', lines: [CL] }) + BODY],
	['an escaped path', head({ start: 'POST /in/%67h HTTP/1.1', lines: [CL] }) + BODY],
	['a path with dots', head({ start: 'POST /in/../in/gh HTTP/1.1', lines: [CL] }) + BODY],
	['two slashes', head({ start: 'POST //in/gh HTTP/1.1', lines: [CL] }) + BODY],
	['another authority in the target', head({ start: 'POST http://other.example/in/gh HTTP/1.1', lines: [CL] }) + BODY],
	['small letters in the method', head({ start: 'post /in/gh HTTP/1.1', lines: [CL] }) + BODY],
	['GET with a body', head({ start: 'GET /in/gh HTTP/1.1', lines: [CL] }) + BODY],
	['CONNECT', head({ start: 'CONNECT /in/gh HTTP/1.1', lines: [CL] }) + BODY],
	// What may be there once.
	['two hosts', length('Host: other.example')],
	['no host', head({ lines: [CL], omit: ['Host'] }) + BODY],
	['two signatures', length(`X-Hub-Signature-256: ${sign(HIDDEN)}`)],
	['two deliveries', length('X-GitHub-Delivery: other')],
	['two events', length('X-GitHub-Event: push')],
	['two types', length('Content-Type: text/plain')],
	['gzip', length('Content-Encoding: gzip')],
	// Asking for something else.
	['an upgrade to HTTP/2', length('Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__')],
	['an upgrade to a websocket', length('Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: AAAA', 'Sec-WebSocket-Version: 13')],
	['the delivery as a header of this hop', length('Connection: close, X-GitHub-Delivery')],
	['the signature as a header of this hop', length('Connection: X-Hub-Signature-256')],
	['an expectation', length('Expect: 100-continue')],
	['an expectation nobody knows', length('Expect: 200-ok')],
	['HTTP/2 without asking', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00'],
	// Sizes.
	['70 headers', length(...Array.from({ length: 70 }, (_, i) => `X-A${i}: b`))],
	['a header of 64 KiB', length(`X-A: ${'b'.repeat(65536)}`)],
	['a first line of 64 KiB', head({ start: `POST /in/gh?${'a'.repeat(65536)} HTTP/1.1`, lines: [CL] }) + BODY],
	['a name of 64 KiB', length(`${'A'.repeat(65536)}: b`)],
	['TLS on a plain port', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + 'x'.repeat(100)],
	['only NULs', '\x00'.repeat(200)],
];

// Sends a request with the hidden one behind it: {statuses, closed, text}.
export function ask(port, text, { withHidden = true, timeoutMs = 20000 } = {}) {
	return new Promise((resolve) => {
		const socket = net.connect(port, '127.0.0.1');
		const got = [];
		const timer = setTimeout(() => socket.destroy(), timeoutMs);
		let late = false;
		socket.setTimeout(timeoutMs, () => { late = true; });
		socket.on('data', (data) => got.push(data));
		socket.on('error', () => {});
		socket.on('close', () => {
			clearTimeout(timer);
			const answer = Buffer.concat(got).toString('latin1');
			resolve({ text: answer, statuses: (answer.match(/^HTTP\/1\.[01] (\d+)/gm) ?? []).map((l) => Number(l.slice(9))).filter((s) => s !== 100), late });
		});
		socket.write(Buffer.from(text + (withHidden ? hidden() : ''), 'latin1'));
		// Enough for who waits for the end of what is never complete.
		setTimeout(() => socket.end(), 300);
	});
}
