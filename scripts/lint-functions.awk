# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# House rules for C functions, as clang-format lays them out (braces of a body
# in column one): at most 70 lines between the braces, at most 5 parameters.
# Prints FILE:LINE: finding, and fails when there is one. A comment line above a function
# with NOLINTNEXTLINE(parameters) in it lets it have the signature that a library wants.

BEGIN {
	lines_max = 70
	params_max = 5
}

function complain(line, text)
{
	printf "%s:%d: %s\n", FILENAME, line, text
	findings++
}

# The parameters of the declaration in @text; sets fn_name.
function count_params(text,    i, c, depth, count, args, extra)
{
	gsub(/SEC\("[^"]*"\)/, "", text)
	gsub(/__attribute__ *\(\(([^()]|\([^()]*\))*\)\)/, "", text)
	# BPF_PROG(name, args...) declares name(args...).
	extra = match(text, /(^|[ \t])BPF_[A-Z0-9_]+\(/) ? 1 : 0
	if (!match(text, /[A-Za-z_][A-Za-z0-9_]* *\(/))
		return 0
	fn_name = substr(text, RSTART, RLENGTH - 1)
	args = substr(text, RSTART + RLENGTH)
	count = 1
	depth = 1
	for (i = 1; i <= length(args) && depth; i++) {
		c = substr(args, i, 1)
		if (c == "(" || c == "{")
			depth++
		else if (c == ")" || c == "}")
			depth--
		else if (c == "," && depth == 1)
			count++
	}
	return count - extra
}

FNR == 1 {
	declaration = ""
	start = 0
}

start && /^}/ {
	if (FNR - start - 1 > lines_max)
		complain(start, fn_name "() has " (FNR - start - 1) " lines, at most " lines_max)
	start = 0
	declaration = ""
	next
}

start { next }

/^{/ {
	start = FNR
	params = count_params(declaration)
	if (params > params_max && !exempt)
		complain(FNR, fn_name "() has " params " parameters, at most " params_max)
	exempt = 0
	next
}

/NOLINTNEXTLINE\(parameters\)/ { exempt = 1 }

/^[ \t]*$/ || /^#/ || /^[ \t]*(\/\*|\*|\/\/)/ || /;[ \t]*$/ || /^}/ || /\\$/ {
	declaration = ""
	next
}

{ declaration = declaration " " $0 }

END { exit findings > 0 }
