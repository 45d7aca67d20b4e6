// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Drawings: a Service with its backends, and drops over time. They get numbers and
// an svg element, and know nothing of where the numbers come from.
"use strict";

const picture = (() => {
	const SIGNS = { "ready": "●", "terminating": "◐", "draining": "◔", "not-ready": "○", "dropped": "✕" };
	const BACKENDS_MAX = 48, ROW = 44, GAP = 8, THICKEST = 14;

	function make(name, attributes, text) {
		const element = document.createElementNS("http://www.w3.org/2000/svg", name);

		for (const key in attributes)
			element.setAttribute(key, attributes[key]);
		if (text !== undefined)
			element.textContent = text;
		return element;
	}

	function short(text, width) {
		const most = Math.max(4, Math.floor(width / 7.3));

		return text.length > most ? text.slice(0, most - 1) + "…" : text;
	}

	function box(svg, at, className, lines, title) {
		const group = make("g", {});

		group.append(make("title", {}, title),
			make("rect", { class: "box " + className, x: at.x, y: at.y, width: at.width,
				height: at.height, rx: 6 }));
		lines.forEach((line, i) => group.append(make("text", { class: line.class || "",
			x: at.x + 8, y: at.y + 17 + i * 17 }, short(line.text, at.width - 12))));
		svg.append(group);
	}

	// Thick as what flows there is of the most that flows anywhere in the picture.
	function flow(svg, from, to, line, most) {
		const bend = (to.x - from.x) / 2, idle = !line.rate;
		const path = make("path", {
			class: `flow ${line.state}${idle ? " idle" : ""}`,
			d: `M${from.x} ${from.y}C${from.x + bend} ${from.y} ${to.x - bend} ${to.y} ${to.x} ${to.y}`,
			"stroke-width": idle ? 1 : (1 + (THICKEST - 1) * line.rate / most).toFixed(2),
			"data-to": line.name, "data-rate": line.rate,
		});

		path.append(make("title", {}, line.title));
		svg.prepend(path);
	}

	// ports: [{name, addresses, lines: [{name, state, rate, title, texts}]}]
	function service(svg, ports) {
		// A telephone's width is that of addresses: the backends', which are longer, have more of it.
		const width = Math.max(280, svg.clientWidth || 280), narrow = width < 500;
		const side = width * (narrow ? 0.3 : 0.38), right = width * (narrow ? 0.43 : 0.62);
		const most = Math.max(0, ...ports.flatMap(p => p.lines.map(l => l.rate)));
		let y = 4, left = 0;

		svg.replaceChildren();
		for (const port of ports) {
			const shown = port.lines.slice(0, BACKENDS_MAX), texts = port.addresses.slice(0, 6);
			const heightLeft = 26 + texts.length * 17, rows = shown.length + (left = port.lines.length - shown.length, left > 0);
			const height = Math.max(heightLeft, rows * (ROW + GAP) - GAP);
			const from = { x: side, y: y + heightLeft / 2 };

			box(svg, { x: 2, y, width: side - 2, height: heightLeft }, "",
				[{ text: port.name }, ...texts.map(text => ({ text, class: "soft" }))],
				`${port.name}: ${port.addresses.join(", ")}`);
			shown.forEach((line, i) => {
				const top = y + i * (ROW + GAP);

				if (line.rate || line.state !== "not-ready")
					flow(svg, from, { x: right, y: top + ROW / 2 }, line, most);
				box(svg, { x: right, y: top, width: width - right - 2, height: ROW }, line.state,
					[{ text: `${SIGNS[line.state] || "?"} ${line.texts[0]}`, class: line.state },
					 { text: line.texts[1], class: "soft" }], line.title);
			});
			if (!shown.length)
				svg.append(make("text", { class: "dropped", x: right, y: from.y + 4 },
					`${SIGNS.dropped} no endpoint`));
			if (left > 0)
				svg.append(make("text", { class: "soft", x: right,
					y: y + shown.length * (ROW + GAP) + 20 }, `and ${left} more, in the table`));
			y += height + 16;
		}
		svg.setAttribute("viewBox", `0 0 ${width} ${y}`);
		svg.setAttribute("height", y);
	}

	// series: [{name, points: [[ms, rate]]}], over the time from @begin to @end
	function chart(svg, series, begin, end) {
		const width = Math.max(280, svg.clientWidth || 280), height = 140, foot = 20, head = 16;
		const most = Math.max(1, ...series.flatMap(s => s.points.map(p => p[1])));
		const x = ms => 4 + (width - 8) * (ms - begin) / Math.max(1, end - begin);
		const y = rate => height - foot - (height - foot - head) * rate / most;

		svg.replaceChildren();
		svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
		svg.setAttribute("height", height);
		for (const rate of [0, most / 2, most])
			svg.append(make("line", { class: "grid", x1: 0, x2: width, y1: y(rate), y2: y(rate) }));
		svg.append(make("text", { class: "soft", x: 2, y: 12 }, `${number(most)}/s`),
			make("text", { class: "soft", x: 2, y: height - 5 }, `${Math.round((end - begin) / 1000)} s ago`),
			make("text", { class: "soft", x: width - 2, y: height - 5, "text-anchor": "end" }, "now"));
		series.forEach((one, i) => svg.append(make("polyline", { class: `l${i % 5}`,
			"data-name": one.name,
			points: one.points.map(p => `${x(p[0]).toFixed(1)},${y(p[1]).toFixed(1)}`).join(" ") })));
	}

	function sample(i) {
		const svg = make("svg", { viewBox: "0 0 32 10", "aria-hidden": "true" });

		svg.append(make("polyline", { class: `l${i % 5}`, points: "0,5 32,5" }));
		return svg;
	}

	function number(value) {
		for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]])
			if (value >= size)
				return (value / size).toFixed(1) + unit;
		return value >= 10 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1);
	}

	return { SIGNS, chart, number, sample, service };
})();
