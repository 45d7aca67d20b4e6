/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The files of page/, in the binary: what ui.c declares as ui_page_NAME[] and ui_page_NAME_end[]. */
	.macro page name, file
	.globl ui_page_\name
	.globl ui_page_\name\()_end
ui_page_\name:
	.incbin "user/agent/page/\file"
ui_page_\name\()_end:
	.endm

	.section .rodata
	page html, "index.html"
	page css, "style.css"
	page js, "page.js"
	page picture, "picture.js"
	page icon, "icon.svg"

	.section .note.GNU-stack, "", %progbits
