// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The screen of `top`: ncurses, signals, time. However it ends, the terminal is
 * as it was: signals come by a descriptor, and there is one way out.
 */
#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "top/top.h"
#include "top/ui.h"
#include "util/clock.h"

/* Of one CPU, at most a twentieth: a walk over many flows waits longer for the next. */
#define COST_SHARE	20
#define FIRST_DELAY_MS	500
#define ESCAPE_DELAY_MS 25
#define SUMMARY_LINES	3
#define HEAD_LINES	(SUMMARY_LINES + 1) /* and one that says what the list is */

enum { PAIR_GOOD = 1, PAIR_WARN, PAIR_BAD, PAIR_HEAD };

struct screen {
	struct top_reader *reader;
	struct ui ui;
	struct top_style style;
	bool colour;
	SCREEN *terminal;
	int signal_fd;
	sigset_t old_signals;
	uint64_t next_ns;   /* the next sample's time */
	struct err trouble; /* why the last one failed; "": it did not */
};

/* ---- drawing ------------------------------------------------------------------------------ */

static void paint(const struct screen *screen, int pair, bool on)
{
	if (screen->colour && on)
		(void)attron(COLOR_PAIR(pair));
	else if (screen->colour)
		(void)attroff(COLOR_PAIR(pair));
}

/* A line of ASCII, cut at the screen's edge; the rest of it is cleared. */
static void put_line(int line, const char *text)
{
	(void)mvaddnstr(line, 0, text, COLS);
	(void)clrtoeol();
}

static const char *state_text(const struct ui *ui)
{
	return ui->paused ? "  PAUSED" : "";
}

static void draw_title(const struct screen *screen, int line)
{
	const struct ui *ui = &screen->ui;
	const struct top_field *by = top_field(ui->view, ui->order[ui->view].column);
	char text[TOP_LINE_SIZE];

	if (ui->view == TOP_BACKENDS)
		(void)snprintf(text, sizeof(text), "Backends of %s/%s%s, by %s%s%s", ui->open.ns,
			       ui->open.name, ui->gone ? " (it is gone)" : "", by->header,
			       ui->order[ui->view].reversed ? " reversed" : "", state_text(ui));
	else
		(void)snprintf(text, sizeof(text), "%zu Services%s%s%s%s%s%s, by %s%s%s",
			       ui->rows.n, *ui->ns ? " of namespace " : "", ui->ns,
			       *ui->service ? " called " : "", ui->service,
			       *ui->filter ? " with " : "", ui->filter, by->header,
			       ui->order[ui->view].reversed ? " reversed" : "", state_text(ui));
	put_line(line, text);
}

static void draw_head(const struct screen *screen, int lines)
{
	char text[TOP_LINE_SIZE];
	int i;

	for (i = 0; i < lines && i < SUMMARY_LINES; i++) {
		if (!i)
			(void)attron(A_BOLD);
		paint(screen, PAIR_BAD, i == 2 && screen->reader->top.total.drops > 0);
		put_line(i, top_summary(screen->reader, (unsigned int)i, text));
		paint(screen, PAIR_BAD, false);
		(void)attroff(A_BOLD);
	}
	if (lines > SUMMARY_LINES)
		draw_title(screen, SUMMARY_LINES);
}

static void draw_headers(const struct screen *screen, const struct top_layout *layout, int line)
{
	const enum top_column by = screen->ui.order[screen->ui.view].column;
	size_t i;

	(void)move(line, 0);
	(void)attron(A_REVERSE);
	for (i = 0; i < layout->n; i++) {
		const struct top_field *field = layout->fields[i];
		char text[64];

		if (i)
			(void)addch(' ');
		(void)snprintf(text, sizeof(text), field->left ? "%-*.*s" : "%*.*s",
			       layout->width[i], layout->width[i], field->header);
		if (field->column == by)
			(void)attron(A_BOLD | A_UNDERLINE);
		(void)addnstr(text, COLS);
		(void)attroff(A_BOLD | A_UNDERLINE);
	}
	while (getcurx(stdscr) < COLS - 1)
		(void)addch(' ');
	(void)attroff(A_REVERSE);
	(void)clrtoeol();
}

/* Which colour a cell has; 0: that of the rest. */
static int cell_pair(const struct top_row *row, enum top_column column, const char *text)
{
	if (column == TOP_CONNECTIONS_BAR || column == TOP_FLOWS_BAR)
		return PAIR_GOOD;
	if (column == TOP_DROPS && row->service->rates.drops > 0)
		return PAIR_BAD;
	if (column == TOP_SERVING && !row->service->n_serving)
		return PAIR_BAD;
	if (column != TOP_STATE)
		return 0;
	return !strcmp(text, "ready")	    ? PAIR_GOOD
	       : !strcmp(text, "not-ready") ? PAIR_BAD
					    : PAIR_WARN;
}

static void draw_cell(const struct screen *screen, const struct top_row *row,
		      const struct top_field *field, int width)
{
	char text[TOP_CELL_SIZE], cell[TOP_CELL_SIZE];
	const bool bar = field->column == TOP_CONNECTIONS_BAR || field->column == TOP_FLOWS_BAR;
	int pair;

	top_cell(row, field, width, &screen->style, text);
	pair = cell_pair(row, field->column, text);
	/* A bar is as wide as it should be, and its bytes are not columns. */
	if (!bar)
		(void)snprintf(cell, sizeof(cell), field->left ? "%-*.*s" : "%*.*s", width, width,
			       text);
	if (pair)
		paint(screen, pair, true);
	(void)addstr(bar ? text : cell);
	if (pair)
		paint(screen, pair, false);
}

static void draw_row(const struct screen *screen, const struct top_layout *layout, size_t index,
		     int line)
{
	const struct ui *ui = &screen->ui;
	size_t i;

	(void)move(line, 0);
	if (index == ui->cursor)
		(void)attron(A_REVERSE);
	for (i = 0; i < layout->n; i++) {
		if (i)
			(void)addch(' ');
		draw_cell(screen, &ui->rows.v[index], layout->fields[i], layout->width[i]);
	}
	while (index == ui->cursor && getcurx(stdscr) < COLS - 1)
		(void)addch(' ');
	(void)attroff(A_REVERSE);
	(void)clrtoeol();
}

static void draw_list(struct screen *screen, int from, int lines)
{
	const struct ui *ui = &screen->ui;
	struct top_layout layout;
	int i;

	/* The last column stays free: a character there may wrap. */
	top_layout(ui->view, COLS - 1, &layout);
	draw_headers(screen, &layout, from - 1);
	for (i = 0; i < lines; i++) {
		if (ui->first + (size_t)i < ui->rows.n)
			draw_row(screen, &layout, ui->first + (size_t)i, from + i);
		else
			put_line(from + i, "");
	}
	if (!ui->rows.n && lines > 0)
		put_line(from, ui->view == TOP_BACKENDS ? "(no backends)" : "(no Services)");
}

static void draw_foot(const struct screen *screen, int line)
{
	const struct ui *ui = &screen->ui;
	char text[TOP_LINE_SIZE];
	int pair;

	if (ui->prompt)
		(void)snprintf(text, sizeof(text), "%s%s_", ui_prompt_text(ui->prompt), ui->input);
	else if (*ui->message)
		(void)snprintf(text, sizeof(text), "%s", ui->message);
	else if (screen->trouble.msg[0])
		(void)snprintf(text, sizeof(text), "no sample: %.400s", screen->trouble.msg);
	else if (ui->view == TOP_BACKENDS)
		(void)snprintf(text, sizeof(text),
			       "Esc back  < > sort  r reverse  d delay  Space pause  h help");
	else
		(void)snprintf(text, sizeof(text),
			       "Enter backends  < > sort  r reverse  / filter  n namespace  Space "
			       "pause  h help  q quit");
	pair = screen->trouble.msg[0] || *ui->message ? PAIR_BAD : PAIR_HEAD;
	paint(screen, pair, true);
	put_line(line, text);
	paint(screen, pair, false);
}

static void draw_help(void)
{
	static const char *const help[] = {
		"shunt top: live rates of Services",
		"",
		"  Up Down j k PgUp PgDn Home End   move",
		"  Enter                            the backends of this Service",
		"  Esc Backspace q                  back to the Services",
		"  < > Left Right F6                sort by another column",
		"  c p b l x N                      by connections, packets, bytes, live flows,",
		"                                   drops, name; w: a backend's weight",
		"  r                                reverse the order",
		"  / F4                             filter: part of NAMESPACE/NAME; Esc: all",
		"  n                                one namespace",
		"  d s                              seconds between samples",
		"  Space                            pause, go on;  F5: a sample now",
		"  q F10 Ctrl-C                     quit",
		"",
		"Connections count packets' flows and sockets' connect(); packets and bytes",
		"those of both directions, of what shunt translates packet by packet.",
		"Any key goes back.",
	};
	int i;

	(void)erase();
	for (i = 0; i < (int)(sizeof(help) / sizeof(help[0])) && i < LINES; i++)
		put_line(i, help[i]);
}

/* How many lines stand above the column headers: rows come first where there is little room. */
static int head_lines(void)
{
	const int room = LINES - 3; /* headers, one row, the foot */

	return room < 0 ? 0 : room < HEAD_LINES ? room : HEAD_LINES;
}

static void draw(struct screen *screen)
{
	const int head = head_lines();
	int lines = LINES - head - 2;

	if (lines < 1)
		lines = 1;
	ui_resize(&screen->ui, (size_t)lines);
	if (screen->ui.help) {
		draw_help();
	} else {
		draw_head(screen, head);
		draw_list(screen, head + 1, lines);
		if (LINES >= 3)
			draw_foot(screen, LINES - 1);
	}
	(void)refresh();
}

/* ---- keys ------------------------------------------------------------------------------------ */

static int key_of(int key)
{
	static const struct {
		int from, to;
	} keys[] = {
		{ '\r', UI_ENTER },
		{ '\n', UI_ENTER },
		{ KEY_ENTER, UI_ENTER },
		{ 27, UI_ESCAPE },
		{ KEY_BACKSPACE, UI_BACKSPACE },
		{ 127, UI_BACKSPACE },
		{ '\b', UI_BACKSPACE },
		{ KEY_UP, UI_UP },
		{ KEY_DOWN, UI_DOWN },
		{ KEY_PPAGE, UI_PAGE_UP },
		{ KEY_NPAGE, UI_PAGE_DOWN },
		{ KEY_HOME, UI_HOME },
		{ KEY_END, UI_END },
		{ KEY_LEFT, UI_LEFT },
		{ KEY_RIGHT, UI_RIGHT },
		{ KEY_F(1), UI_F1 },
		{ KEY_F(4), UI_F4 },
		{ KEY_F(5), UI_F5 },
		{ KEY_F(6), UI_F6 },
		{ KEY_F(10), UI_F10 },
	};
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (keys[i].from == key)
			return keys[i].to;
	}
	return key < 0x80 ? key : 0;
}

/* All that have been pressed. @return 0 or -ENOMEM */
static int take_keys(struct screen *screen)
{
	struct ui *ui = &screen->ui;
	const uint32_t delay_ms = ui->delay_ms;
	const bool paused = ui->paused;
	int key, ret = 0;

	while (!ret && !ui->quit && (key = getch()) != ERR) {
		if (key == KEY_RESIZE)
			(void)erase();
		else
			ui_press(ui, key_of(key));
		if (ui->help)
			continue;
		(void)erase();
		ret = ui_fill(ui, &screen->reader->top);
	}
	if (ui->delay_ms != delay_ms || (paused && !ui->paused) || ui->refresh)
		screen->next_ns = monotonic_ns();
	return ret;
}

/* ---- the loop -------------------------------------------------------------------------------- */

/*
 * An instance may go and come again: that there is none is no end, but said on the screen.
 * @return 0 or -ENOMEM
 */
static int sample(struct screen *screen, struct err *err)
{
	const uint64_t delay = (uint64_t)screen->ui.delay_ms * 1000000;
	uint64_t cost;

	screen->trouble.msg[0] = '\0';
	(void)top_read(screen->reader, &screen->trouble);
	cost = screen->reader->cost_ns * COST_SHARE;
	screen->next_ns = monotonic_ns() + (cost > delay ? cost : delay);
	screen->ui.refresh = false;
	if (ui_fill(&screen->ui, &screen->reader->top))
		return err_system(err, -ENOMEM, "list the Services");
	return 0;
}

/* Wait for a key, a signal or the next sample. @return false: it is over */
static bool wait_for_more(struct screen *screen)
{
	struct pollfd polls[] = { { .fd = STDIN_FILENO, .events = POLLIN },
				  { .fd = screen->signal_fd, .events = POLLIN } };
	const uint64_t now = monotonic_ns();
	int64_t ms = screen->next_ns > now ? (int64_t)((screen->next_ns - now) / 1000000) + 1 : 0;

	if (screen->ui.paused && !screen->ui.refresh)
		ms = -1;
	/* EINTR: the size of the terminal, which getch() tells. */
	if (poll(polls, 2, (int)ms) < 0)
		return errno == EINTR;
	return !polls[1].revents && !(polls[0].revents & (POLLHUP | POLLERR | POLLNVAL));
}

static bool is_due(const struct screen *screen)
{
	if (screen->ui.paused && !screen->ui.refresh)
		return false;
	return monotonic_ns() >= screen->next_ns;
}

static int loop(struct screen *screen, struct err *err)
{
	int ret = 0;

	while (!ret) {
		draw(screen);
		if (!wait_for_more(screen))
			break;
		if (take_keys(screen))
			return err_system(err, -ENOMEM, "list the Services");
		if (screen->ui.quit)
			break;
		if (is_due(screen))
			ret = sample(screen, err);
	}
	return ret;
}

/* ---- beginning and ending ------------------------------------------------------------------------ */

static int signals_take(struct screen *screen, struct err *err)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGQUIT);
	(void)sigprocmask(SIG_BLOCK, &set, &screen->old_signals);
	screen->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return screen->signal_fd < 0 ? err_system(err, -errno, "wait for signals") : 0;
}

static void signals_give_back(struct screen *screen)
{
	struct signalfd_siginfo taken;

	if (screen->signal_fd < 0)
		return;
	/* What is left pending would end the process as soon as it is let through. */
	while (read(screen->signal_fd, &taken, sizeof(taken)) > 0)
		;
	(void)close(screen->signal_fd);
	(void)sigprocmask(SIG_SETMASK, &screen->old_signals, NULL);
}

static void colours_begin(struct screen *screen)
{
	const char *none = getenv("NO_COLOR");

	screen->colour = !(none && *none) && has_colors() && start_color() == OK;
	if (!screen->colour)
		return;
	(void)use_default_colors();
	(void)init_pair(PAIR_GOOD, COLOR_GREEN, -1);
	(void)init_pair(PAIR_WARN, COLOR_YELLOW, -1);
	(void)init_pair(PAIR_BAD, COLOR_RED, -1);
	(void)init_pair(PAIR_HEAD, COLOR_CYAN, -1);
}

static int terminal_begin(struct screen *screen, struct err *err)
{
	const char *name = getenv("TERM");

	/* Which letters the terminal has; no other part of a locale is wanted. */
	(void)setlocale(LC_CTYPE, "");
	screen->style.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	screen->terminal = newterm(NULL, stdout, stdin);
	if (!screen->terminal)
		return err_system(err, -ENOTSUP,
				  "draw on a terminal of the type \"%.64s\" (set TERM, or give "
				  "--batch)",
				  name ? name : "");
	(void)cbreak();
	(void)noecho();
	(void)nonl();
	(void)keypad(stdscr, TRUE);
	(void)nodelay(stdscr, TRUE);
	(void)set_escdelay(ESCAPE_DELAY_MS);
	(void)curs_set(0);
	colours_begin(screen);
	return 0;
}

static void terminal_end(struct screen *screen)
{
	if (!screen->terminal)
		return;
	(void)endwin();
	delscreen(screen->terminal);
}

static int screen_begin(struct screen *screen, struct err *err)
{
	const struct top_options *options = screen->reader->options;
	struct ui *ui = &screen->ui;
	int ret;

	(void)snprintf(ui->ns, sizeof(ui->ns), "%s", options->ns);
	(void)snprintf(ui->service, sizeof(ui->service), "%s", options->service);
	ret = sample(screen, err);
	if (!ret && screen->trouble.msg[0]) { /* not the first one */
		*err = screen->trouble;
		return -ENOENT;
	}
	if (!ret)
		ret = top_check(screen->reader, err);
	if (ret)
		return ret;
	if (*ui->service && ui->rows.n == 1) {
		ui_open(ui);
		(void)ui_fill(ui, &screen->reader->top);
	}
	if (ui->delay_ms > FIRST_DELAY_MS)
		screen->next_ns = monotonic_ns() + FIRST_DELAY_MS * 1000000ull;
	ret = signals_take(screen, err);
	return ret ? ret : terminal_begin(screen, err);
}

int top_screen(struct top_reader *reader, struct err *err)
{
	struct screen screen = { .reader = reader, .signal_fd = -1 };
	int ret;

	ui_init(&screen.ui, reader->options->delay_ms);
	ret = screen_begin(&screen, err);
	if (!ret)
		ret = loop(&screen, err);
	terminal_end(&screen);
	signals_give_back(&screen);
	ui_done(&screen.ui);
	return ret;
}
