// The page of `postern dashboard`: shows what the server's events tell, and asks for nothing but the configuration.
import uPlot from './uPlot.js';

const SECONDS = 300;
const LOG_LINES = 500;
const byId = (id) => document.getElementById(id);

/** An element with text and children; nothing is ever read as HTML. */
function element(name, className, ...content) {
  const made = document.createElement(name);
  if (className !== '') made.className = className;
  made.append(...content);
  return made;
}

function formatRate(bytes) {
  if (bytes < 1000) return `${bytes} B/s`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB/s` : `${(bytes / 1e6).toFixed(1)} MB/s`;
}

// Bandwidth over time.

const samples = [];
let plot;

function dataOfPlot() {
  const first = samples.length - SECONDS;
  const shown = Array.from({ length: SECONDS }, (_, index) => samples[first + index]);
  return [
    shown.map((_, index) => index - SECONDS + 1),
    shown.map((sample) => sample?.read ?? null),
    shown.map((sample) => sample?.written ?? null),
  ];
}

function drawPlot() {
  plot?.destroy();
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: colour('--faint'), grid: { stroke: colour('--line'), width: 1 } };
  const series = (label, name) => ({ label, stroke: colour(name), width: 2 });
  plot = new uPlot(
    {
      width: Math.max(200, byId('graph').clientWidth),
      height: 220,
      scales: {
        x: { time: false },
        y: { range: (_, _least, most) => [0, Math.max(1000, most * 1.1)] },
      },
      cursor: { show: false },
      series: [{}, series('read', '--read'), series('written', '--written')],
      axes: [
        { ...axis, values: (_, ticks) => ticks.map((tick) => (tick === 0 ? 'now' : `${tick} s`)) },
        { ...axis, size: 80, values: (_, ticks) => ticks.map(formatRate) },
      ],
    },
    dataOfPlot(),
    byId('graph'),
  );
}

function addSample(sample) {
  samples.push(sample);
  if (samples.length > SECONDS) samples.shift();
  showSamples();
}

function showSamples() {
  const last = samples.at(-1) ?? { read: 0, written: 0 };
  byId('read').textContent = formatRate(last.read);
  byId('written').textContent = formatRate(last.written);
  plot?.setData(dataOfPlot());
}

// What stands.

let state;

function fill(list, empty, entries) {
  byId(list).replaceChildren(...entries);
  byId(empty).hidden = entries.length > 0;
}

function pathOf(hops) {
  return hops.flatMap((hop) => [' → ', element('span', 'hop', hop)]);
}

function showState() {
  const { process, bridge, problem, place, links, circuits, streams, counts, mappings } = state;
  byId('what').textContent =
    process === undefined ? place : `${process.version}, engine ${process.engine}, at ${place}`;
  const status = byId('status');
  const bridgeText = bridge === undefined ? '' : `, a bridge with ${bridge.links} links`;
  const text =
    problem === undefined ? `Connected${bridgeText}` : `No connection: ${problem}; trying again`;
  if (status.textContent !== text) status.textContent = text;
  status.className = problem === undefined ? 'good' : 'bad';
  byId('main').classList.toggle('stale', problem !== undefined);
  byId('link-count').textContent = counts.links;
  byId('circuit-count').textContent = counts.circuits;
  byId('stream-count').textContent = counts.streams;
  fill(
    'circuit-list',
    'no-circuits',
    circuits.map(({ id, status: built, path }) =>
      element('li', '', `${id} `, element('span', 'faint', built), ' you', ...pathOf(path)),
    ),
  );
  fill(
    'link-list',
    'no-links',
    links.map(({ name, status: linked }) =>
      element('li', '', element('span', 'hop', name), ' ', element('span', 'faint', linked)),
    ),
  );
  const filter = byId('stream-filter').value.toLowerCase();
  const shown = streams.filter(({ target }) => target.toLowerCase().includes(filter));
  fill(
    'stream-rows',
    'no-streams',
    shown.map(({ id, status: carried, target, circuit }) =>
      element(
        'tr',
        '',
        ...[id, carried, target, circuit ?? ''].map((cell) => element('td', '', `${cell}`)),
      ),
    ),
  );
  fill(
    'mapping-list',
    'no-mappings',
    mappings.map(({ from, to }) =>
      element('li', '', element('span', 'hop', from), ' → ', element('span', 'hop', to)),
    ),
  );
}

// The log.

const lines = [];

function logEntry({ epochMs, message }) {
  const time = new Date(epochMs).toTimeString().slice(0, 8);
  return element('li', '', element('span', 'faint', time), ` ${message}`);
}

function isLogged({ message }) {
  return message.toLowerCase().includes(byId('log-filter').value.toLowerCase());
}

function followLog() {
  const list = byId('log-lines');
  if (byId('follow').checked) list.scrollTop = list.scrollHeight;
}

function showLog() {
  byId('log-lines').replaceChildren(...lines.filter(isLogged).map(logEntry));
  followLog();
}

function addLine(line) {
  lines.push(line);
  if (lines.length > LOG_LINES) lines.shift();
  if (!isLogged(line)) return;
  const list = byId('log-lines');
  list.append(logEntry(line));
  while (list.childElementCount > LOG_LINES) list.firstElementChild.remove();
  followLog();
}

// The configuration.

let options = [];

function showOptions() {
  const filter = byId('option-filter').value.toLowerCase();
  const shown = options.filter(({ key, value }) =>
    `${key} ${value}`.toLowerCase().includes(filter),
  );
  byId('option-rows').replaceChildren(
    ...shown.map(({ key, value }) => {
      const head = element('th', '', key);
      head.scope = 'row';
      return element('tr', '', head, element('td', '', value === '' ? '(not set)' : value));
    }),
  );
}

async function readOptions() {
  const answer = await fetch('configuration').catch(() => undefined);
  // While the daemon is away the old ones stay.
  if (answer?.ok !== true) return;
  options = await answer.json();
  showOptions();
}

// Events, and what the user does.

let wasConnected = false;

function listen() {
  const source = new EventSource('events');
  const on = (name, act) => source.addEventListener(name, (event) => act(JSON.parse(event.data)));
  on('history', ({ bandwidth, log }) => {
    samples.splice(0, Infinity, ...bandwidth.slice(-SECONDS));
    lines.splice(0, Infinity, ...log.slice(-LOG_LINES));
    showSamples();
    showLog();
  });
  on('state', (next) => {
    state = next;
    showState();
    const isConnected = state.problem === undefined;
    if (isConnected && !wasConnected) readOptions().catch(() => {});
    wasConnected = isConnected;
  });
  on('bandwidth', addSample);
  on('log', addLine);
  source.addEventListener('error', () => {
    wasConnected = false;
    byId('status').textContent = 'The dashboard itself has ended; trying again';
    byId('status').className = 'bad';
  });
}

function chooseTheme(theme) {
  if (theme === '') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  drawPlot();
}

byId('stream-filter').addEventListener('input', () => state !== undefined && showState());
byId('log-filter').addEventListener('input', showLog);
byId('option-filter').addEventListener('input', showOptions);
byId('reload').addEventListener('click', () => {
  readOptions().catch(() => {});
});
byId('theme').addEventListener('change', ({ target }) => chooseTheme(target.value));
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawPlot);
new ResizeObserver(() =>
  plot?.setSize({ width: Math.max(200, byId('graph').clientWidth), height: 220 }),
).observe(byId('graph'));
drawPlot();
listen();
