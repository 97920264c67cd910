# SPDX-License-Identifier: Apache-2.0
# Turns the .sql files named on the command line into one C table, see sql/sql.h.
BEGIN {
	print "/* Made from sql/ by tools/sql2c.awk. */"
	print "#include \"sql/sql.h\""
	print "/* One literal per file passes the 4,095 characters C11 promises; gcc and clang have no limit. */"
	print "#pragma GCC diagnostic ignored \"-Woverlength-strings\""
	print "const struct sql_file sql_files[] = {"
}
FNR == 1 {
	if (count++)
		print "\t},"
	printf "\t{ \"%s\",\n", FILENAME
}
{
	gsub(/\\/, "\\\\")
	gsub(/"/, "\\\"")
	gsub(/\t/, "\\t")
	printf "\t\t\"%s\\n\"\n", $0
}
END {
	print "\t},"
	print "};"
	print "const size_t sql_file_count = sizeof sql_files / sizeof sql_files[0];"
}
