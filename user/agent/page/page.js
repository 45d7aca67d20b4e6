// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The page: asks /api/ every two seconds while somebody looks, keeps what was there
// before to tell rates, and shows it. Text goes in as text, never as HTML.
"use strict";

const EVERY_MS = 2000, HISTORY_MS = 300000, ROWS = 200, LINES = 5;
const collator = new Intl.Collator("en", { numeric: true });
const id = name => document.getElementById(name);

const page = {
	services: [], tag: null, drops: [], status: null, backends: null,
	open: null,		// {namespace, name}
	search: "", sort: "name", down: false, limit: ROWS,
	paused: false, busy: false,
	rates: new Map(),	// a backend -> its rates
	before: null,		// {taken, items} of the backends, one round ago
	dropsBefore: null, dropRates: new Map(),
	history: [],		// {ms, rates: {reason: packets/s}}
	began: Date.now(),
};

// ---- asking

// A long list that is the same as before (its tag is @known) isn't read again.
async function ask(path, parameters = {}, known = null) {
	const query = new URLSearchParams(parameters).toString();
	const response = await fetch("api/" + path + (query ? "?" + query : ""), { cache: "no-cache" });
	const tag = response.headers.get("ETag");

	if (response.ok && known && tag === known) {
		await response.body.cancel();
		return { tag };
	}
	const body = await response.json();

	if (!response.ok)
		throw Object.assign(new Error(body.message || response.statusText), { status: response.status });
	return { body, tag, taken: Number(response.headers.get("Shunt-Taken-Ms")) };
}

function complain(text) {
	id("error").hidden = !text;
	if (id("error").textContent !== (text || ""))
		id("error").textContent = text || "";
}

// ---- elements

function element(name, attributes, ...children) {
	const made = document.createElement(name);

	for (const key in attributes)
		made.setAttribute(key, attributes[key]);
	made.append(...children.filter(child => child !== null));
	return made;
}

function cell(text, className) {
	return element("td", className ? { class: className } : {}, String(text));
}

const n = value => picture.number(value || 0);

function age(seconds) {
	return seconds < 120 ? `${seconds} s` : seconds < 7200 ? `${Math.floor(seconds / 60)} min`
		: `${Math.floor(seconds / 3600)} h`;
}

// ---- the Services

const COLUMNS = [
	{ key: "namespace", title: "Namespace", text: s => s.namespace },
	{ key: "name", title: "Name", text: s => s.name },
	{ key: "type", title: "Type", text: s => s.type, optional: true },
	{ key: "ip", title: "Cluster IP", text: s => s.clusterIPs.join(" ") },
	{ key: "external", title: "Outside", text: s => [...s.externalIPs, ...s.loadBalancerIPs].join(" "), optional: true },
	{ key: "ports", title: "Ports", text: ports_text },
	{ key: "endpoints", title: "Endpoints", text: endpoints, number: true, show: endpoints_text },
];

function ports_text(service) {
	return [...new Set(service.ports.map(p => `${p.port}${p.nodePort ? ":" + p.nodePort : ""}/${p.protocol}`))].join(" ");
}

// The least of its ports: where it is none, nobody answers.
function endpoints(service) {
	return Math.min(...service.ports.map(p => p.endpoints));
}

// As the command line has it: "3", or "0-3" where ports or families differ.
function endpoints_text(service) {
	const least = endpoints(service), most = Math.max(...service.ports.map(p => p.endpoints));

	return (least ? "" : "✕ ") + (least === most ? String(least) : `${least}-${most}`);
}

function shown_services() {
	const words = page.search.toLowerCase().split(/\s+/).filter(Boolean);
	const column = COLUMNS.find(c => c.key === page.sort);
	const rows = page.services.filter(s => words.every(word => s.text.includes(word)));

	rows.sort((a, b) => {
		const x = column.text(a), y = column.text(b);
		const order = column.number ? x - y : collator.compare(x, y);

		return (page.down ? -order : order) || collator.compare(a.text, b.text);
	});
	return rows;
}

function draw_head() {
	id("list").tHead.rows[0].replaceChildren(...COLUMNS.map(column => {
		const sorted = page.sort === column.key;
		const button = element("button", { type: "button" }, column.title + (sorted ? page.down ? " ▼" : " ▲" : ""));

		button.addEventListener("click", () => {
			page.down = page.sort === column.key && !page.down;
			page.sort = column.key;
			draw_head();
			draw_services();
			id("list").tHead.rows[0].cells[COLUMNS.indexOf(column)].firstChild.focus();
		});
		return element("th", { scope: "col", "aria-sort": sorted ? page.down ? "descending" : "ascending" : "none",
			class: (column.number ? "number " : "") + (column.optional ? "optional" : "") }, button);
	}));
}

function is_open(service) {
	return page.open && page.open.namespace === service.namespace && page.open.name === service.name;
}

function service_row(service) {
	const row = element("tr", is_open(service) ? { "aria-current": "true" } : {});

	for (const column of COLUMNS) {
		const className = (column.number ? "number " : "") + (column.optional ? "optional" : "");
		const bad = column.show && !column.text(service);
		const inside = column.key === "name" ? element("a", { href: address_of(service) }, service.name)
			: (column.show || column.text)(service) || "–";

		row.append(element("td", { class: className + (bad ? " dropped state" : "") }, inside));
	}
	return row;
}

// The rows are made anew: whoever stands on one goes on to stand on the same Service.
function draw_services() {
	const rows = shown_services(), body = id("list").tBodies[0];
	const focused = body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;

	body.replaceChildren(...rows.slice(0, page.limit).map(service_row));
	if (focused)
		body.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
	id("services-count").textContent = rows.length === page.services.length ? `${rows.length}`
		: `${rows.length} of ${page.services.length}`;
	id("more-line").hidden = rows.length <= page.limit;
	id("more").textContent = `Show ${ROWS} more of ${rows.length}`;
}

function take_services(answer) {
	if (!answer.body)
		return;
	page.tag = answer.tag;
	page.services = answer.body.items;
	for (const service of page.services)
		service.text = [service.namespace, service.name, service.type, ...service.clusterIPs, ...service.externalIPs,
			...service.loadBalancerIPs, ports_text(service)].join(" ").toLowerCase();
	draw_services();
}

// ---- one Service

function address_of(service) {
	return `#service/${encodeURIComponent(service.namespace)}/${encodeURIComponent(service.name)}`;
}

function family_of(address) {
	return address.includes(":") ? "IPv6" : "IPv4";
}

function end_of(backend) {
	return family_of(backend.address) === "IPv6" ? `[${backend.address}]:${backend.targetPort}`
		: `${backend.address}:${backend.targetPort}`;
}

function key_of(backend) {
	return `${backend.port}/${backend.protocol}/${end_of(backend)}`;
}

// Counters that were reset count from zero.
function take_backends(answer) {
	const before = page.before, seconds = before ? (answer.taken - before.taken) / 1000 : 0;

	if (before && seconds <= 0)
		return;
	const old = new Map(before ? before.items.map(b => [key_of(b), b]) : []);
	const rate = (now, then, what) => then && now[what] >= then[what] ? (now[what] - then[what]) / seconds : 0;

	page.rates.clear();
	for (const backend of answer.body.items) {
		const then = old.get(key_of(backend));

		page.rates.set(key_of(backend), { flows: backend.flows,
			connections: rate(backend, then, "connections"),
			packets: rate(backend, then, "packets"), bytes: rate(backend, then, "bytes") });
	}
	page.before = { taken: answer.taken, items: answer.body.items };
	page.backends = answer.body.items;
}

function measured(backend) {
	return page.rates.get(key_of(backend))?.[id("measure").value] || 0;
}

function unit() {
	return { connections: "conn/s", packets: "packets/s", bytes: "bytes/s", flows: "flows" }[id("measure").value];
}

function addresses_of(service, port) {
	const mine = list => list.filter(address => family_of(address) === port.family);
	const all = [...mine(service.clusterIPs), ...mine(service.externalIPs), ...mine(service.loadBalancerIPs)];

	return port.nodePort ? [...all, `node :${port.nodePort}`] : all;
}

function backend_line(backend) {
	const rate = measured(backend), what = `${n(rate)} ${unit()}`;
	const weight = backend.weight === 1 ? "" : `, weight ${backend.weight}`;

	return { name: end_of(backend), state: backend.state, rate: backend.state === "not-ready" ? 0 : rate,
		title: `${backend.pod || end_of(backend)}, ${end_of(backend)}: ${backend.state}${weight}, ${what}`,
		texts: [end_of(backend), `${backend.state}, ${what}`] };
}

function drop_lines(port, first) {
	return page.drops.filter(d => d.namespace === page.open.namespace && d.service === page.open.name &&
			(d.port === port.port || (first && !d.port))).map(d => {
		const rate = page.dropRates.get(drop_key(d)) || 0;

		return { name: d.reason, state: "dropped", rate,
			title: `dropped: ${d.reason}, ${d.meaning}: ${n(rate)} packets/s, ${d.packets} in all`,
			texts: [d.reason, `dropped, ${n(rate)}/s, ${n(d.packets)} in all`] };
	});
}

function draw_picture(service) {
	const seen = new Set();
	const ports = service.ports.map((port, i) => {
		const first = !seen.has(port.port);
		const lines = page.backends.filter(b => b.port === port.port && b.protocol === port.protocol &&
			family_of(b.address) === port.family).map(backend_line);

		seen.add(port.port);
		return { name: `${port.port}/${port.protocol}${port.name ? " " + port.name : ""}`,
			addresses: addresses_of(service, port),
			lines: [...lines, ...(first ? drop_lines(port, i === 0) : [])] };
	});

	picture.service(id("picture"), ports);
	id("picture-caption").textContent = `Frontends of ${service.namespace}/${service.name} on the left, ` +
		`backends on the right; lines are as thick as their ${unit()}, those of drops as their packets/s.`;
}

function draw_backends() {
	const rows = page.backends.slice(0, ROWS).map(b => {
		const r = page.rates.get(key_of(b)) || {};

		return element("tr", {}, cell(`${b.port}/${b.protocol}`), cell(end_of(b)),
			cell(`${picture.SIGNS[b.state] || "?"} ${b.state}`, `state ${b.state}`), cell(n(b.flows), "number"),
			cell(n(r.connections), "number"), cell(n(r.packets), "number"), cell(n(r.bytes), "number"),
			cell(b.weight, "number"), cell(b.pod || "–"), cell(b.node + (b.here ? " (here)" : "") || "–"));
	});

	if (page.backends.length > ROWS)
		rows.push(element("tr", {}, element("td", { colspan: "10" },
			`and ${page.backends.length - ROWS} more: shunt get backends --service ${page.open.name}`)));
	id("backends").tBodies[0].replaceChildren(...rows);
}

function draw_detail() {
	const service = page.services.find(is_open);

	id("detail").hidden = !page.open;
	if (!page.open)
		return;
	id("detail-title").textContent = `${page.open.namespace}/${page.open.name}`;
	if (!service || !page.backends) {
		id("facts").textContent = page.services.length && !service ? "There is no such Service (any more)." : "asking …";
		return;
	}
	id("facts").textContent = `${service.type}, ${service.algorithm}, affinity ${service.sessionAffinity}, ` +
		`internal policy ${service.internalTrafficPolicy}, external policy ${service.externalTrafficPolicy}`;
	draw_picture(service);
	draw_backends();
}

// What the address says is open.
function follow_address() {
	const parts = location.hash.split("/");
	const open = parts[0] === "#service" && parts.length === 3
		? { namespace: decodeURIComponent(parts[1]), name: decodeURIComponent(parts[2]) } : null;

	page.open = open;
	page.backends = page.before = null;
	page.rates.clear();
	id("picture").replaceChildren();
	id("backends").tBodies[0].replaceChildren();
	draw_services();
	draw_detail();
	if (open) {
		id("detail-title").focus();
		round();
	}
}

function close_detail() {
	const from = page.open;

	history.pushState(null, "", "#services");
	follow_address();
	(from && id("list").querySelector(`a[href="${CSS.escape(address_of(from))}"]`) || id("search")).focus();
}

// ---- drops

function drop_key(drop) {
	return `${drop.reason} ${drop.namespace}/${drop.service}:${drop.port}`;
}

function take_drops(answer) {
	const before = page.dropsBefore, seconds = before ? (answer.taken - before.taken) / 1000 : 0;

	if (before && seconds <= 0)
		return;
	const rates = {};

	page.dropRates.clear();
	for (const drop of answer.body.items) {
		// What was not there a round ago has begun since.
		const then = before ? before.packets.get(drop_key(drop)) || 0 : drop.packets;
		const rate = seconds && drop.packets > then ? (drop.packets - then) / seconds : 0;

		page.dropRates.set(drop_key(drop), rate);
		rates[drop.reason] = (rates[drop.reason] || 0) + rate;
	}
	page.drops = answer.body.items;
	page.dropsBefore = { taken: answer.taken, packets: new Map(page.drops.map(d => [drop_key(d), d.packets])) };
	page.history.push({ ms: answer.taken, rates });
	while (page.history[0].ms < answer.taken - HISTORY_MS)
		page.history.shift();
	draw_drops();
}

function draw_drops() {
	const total = reason => page.drops.filter(d => d.reason === reason).reduce((sum, d) => sum + d.packets, 0);
	const reasons = [...new Set(page.drops.map(d => d.reason))].sort((a, b) => total(b) - total(a)).slice(0, LINES);
	const last = page.history[page.history.length - 1];
	const series = reasons.map(name => ({ name, points: page.history.map(h => [h.ms, h.rates[name] || 0]) }));

	picture.chart(id("chart"), series, page.history[0].ms, last.ms);
	id("chart-caption").textContent = reasons.length
		? "Now: " + reasons.map(r => `${r} ${n(last.rates[r])}/s`).join(", ") : "Nothing has been dropped.";
	id("chart-key").replaceChildren(...reasons.map((reason, i) =>
		element("li", { class: `key${i}` }, picture.sample(i), `${reason}: ${n(last.rates[reason])}/s, ${total(reason)} in all`)));
	id("drop-list").tBodies[0].replaceChildren(...page.drops.slice(0, ROWS).map(d => element("tr", {},
		cell(d.reason), cell(d.service === null ? "–" : `${d.namespace}/${d.service}${d.port ? ":" + d.port : ""}`),
		cell(d.packets, "number"), cell(`${age(d.last)} ago`, "number"), cell(d.meaning, "wide"))));
}

// ---- the state of the whole

function take_status({ body }) {
	const agent = body.agent || {};
	const full = (body.maps || []).filter(m => m.max && m.used / m.max > 0.9).map(m => m.name);
	const state = !body.loaded ? "✕ not loaded" : !agent.running ? "✕ no agent"
		: agent.ready ? "● in force" : "◐ not all in force yet";

	id("state").textContent = `${state} on ${body.node || "?"}` +
		(agent.syncFailures ? `, ${agent.syncFailures} failed syncs` : "") + (full.length ? `, nearly full: ${full.join(", ")}` : "");
	document.title = `${body.node || ""} shunt`.trim();
}

// ---- the trace

async function trace(event) {
	const from = new FormData(id("ask")), parameters = {};

	event.preventDefault();
	for (const [name, value] of from)
		if (value.trim())
			parameters[name] = value.trim();
	id("go").disabled = true;
	id("verdict").hidden = false;
	id("verdict").className = "";
	id("verdict").textContent = "asking …";
	id("steps").replaceChildren();
	try {
		show_trace((await ask("trace", parameters)).body);
	} catch (error) {
		id("verdict").className = "dropped";
		id("verdict").textContent = `✕ ${error.message}`;
	}
	id("go").disabled = false;
}

function show_trace(answer) {
	const good = answer.verdict === "forward" || answer.verdict === "pass";

	id("verdict").className = good ? "ready" : "dropped";
	id("verdict").textContent = `${good ? "●" : "✕"} ${answer.verdict}` + (answer.backend ? ` to ${answer.backend}` : "") +
		(answer.reason ? `: ${answer.reason}` : "") + (answer.service ? `, Service ${answer.service}` : "");
	id("verdict").dataset.verdict = answer.verdict;
	id("steps").replaceChildren(...answer.steps.map(s => element("li", {}, element("b", {}, s.step), " " + s.text)));
}

function trace_this() {
	const service = page.services.find(is_open), port = service && service.ports[0];

	if (!port)
		return;
	const ip = service.clusterIPs.find(a => family_of(a) === port.family) || "";

	id("dst").value = ip.includes(":") ? `[${ip}]:${port.port}` : `${ip}:${port.port}`;
	id("proto").value = port.protocol.toLowerCase();
	id(id("src").value || id("from").value === "node" ? "go" : "src").focus();
}

// ---- rounds

async function round() {
	const open = page.open;

	if (page.busy || document.hidden)
		return;
	page.busy = true;
	try {
		const asked = [ask("services", {}, page.tag), ask("drops"), ask("status")];

		if (open)
			asked.push(ask("backends", { namespace: open.namespace, service: open.name }));
		const [services, drops, status, backends] = await Promise.allSettled(asked);

		for (const [answer, take] of [[services, take_services], [drops, take_drops], [status, take_status]])
			if (answer.status === "fulfilled")
				take(answer.value);
		if (backends && backends.status === "fulfilled" && page.open === open)
			take_backends(backends.value);
		draw_detail();
		const failed = [services, drops, status].find(answer => answer.status === "rejected");
		complain(failed ? `The agent doesn't answer: ${failed.reason.message}. Shown is what it told last.` : "");
	} finally {
		page.busy = false;
	}
	if (page.open && !page.backends && page.open !== open)
		round();
}

// ---- keys and buttons

function move_in_list(event) {
	const links = [...id("list").tBodies[0].querySelectorAll("a")];
	const at = links.indexOf(document.activeElement);
	const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];

	if (to === undefined || !links.length)
		return;
	event.preventDefault();
	(to < 0 ? id("search") : links[Math.min(to, links.length - 1)]).focus();
}

function on_key(event) {
	const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);

	if (event.ctrlKey || event.metaKey || event.altKey)
		return;
	if (event.key === "/" && !typing) {
		event.preventDefault();
		id("search").focus();
	} else if (event.key === "Escape" && page.open && !typing) {
		close_detail();
	} else if (id("list").tBodies[0].contains(event.target) || (event.target === id("search") && event.key === "ArrowDown")) {
		move_in_list(event);
	}
}

function set_paused() {
	page.paused = !page.paused;
	id("pause").setAttribute("aria-pressed", page.paused);
	id("pause").textContent = page.paused ? "Go on" : "Pause";
}

function start() {
	for (const link of document.querySelectorAll("a[data-focus]"))
		link.addEventListener("click", event => {
			event.preventDefault();
			id(link.dataset.focus).closest("section").scrollIntoView();
			id(link.dataset.focus).focus({ preventScroll: true });
		});
	id("search").addEventListener("input", () => {
		page.search = id("search").value;
		page.limit = ROWS;
		draw_services();
	});
	id("more").addEventListener("click", () => {
		page.limit += ROWS;
		draw_services();
	});
	// The address doesn't change where it is open already.
	id("list").tBodies[0].addEventListener("click", event => {
		if (event.target.getAttribute("href") === location.hash)
			id("detail-title").focus();
	});
	id("measure").addEventListener("change", draw_detail);
	id("close").addEventListener("click", close_detail);
	id("trace-this").addEventListener("click", trace_this);
	id("pause").addEventListener("click", set_paused);
	id("ask").addEventListener("submit", trace);
	document.addEventListener("keydown", on_key);
	window.addEventListener("hashchange", follow_address);
	window.addEventListener("resize", draw_detail);
	document.addEventListener("visibilitychange", round);
	draw_head();
	follow_address();
	round();
	setInterval(() => page.paused || round(), EVERY_MS);
}

start();
