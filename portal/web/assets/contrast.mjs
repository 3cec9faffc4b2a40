// Checks that every colour role can be read on every ground it may stand on (WCAG 2.2: 4.5 for text,
// 3 for edges and drawings) and that the series of a chart differ under simulated colour blindness.
import fs from 'node:fs';
import {fileURLToPath} from 'node:url';

const NIGHTS = ['#0d2b2a', '#0f2f2c'];
const GROUNDS = ['paper', 'surface', 'sunken'];
// Machado, Oliveira and Fernandes 2009, severity 1.
const SIGHTS = {
  normal: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protan: [[.152286, 1.052583, -.204868], [.114503, .786281, .099216], [-.003882, -.048116, 1.051998]],
  deutan: [[.367322, .860646, -.227968], [.280085, .672501, .047413], [-.01182, .04294, .968881]],
  tritan: [[1.255528, -.076749, -.178779], [-.078411, .930809, .147602], [.004733, .691367, .3039]],
};
const LOWEST_DISTANCE = 10;

const linear = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255)
  .map((v) => (v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4));
const luminance = (hex) => linear(hex).reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const ratio = (one, other) => {
  const [a, b] = [luminance(one), luminance(other)];
  return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
};

function palette(tokens, name) {
  const body = tokens.match(new RegExp(`\\$palette-${name}: \\(([\\s\\S]*?)\\n\\);`))[1];
  return Object.fromEntries([...body.matchAll(/([\w-]+): (#[0-9a-f]{6})/g)].map((m) => [m[1], m[2]]));
}

function pagePairs() {
  const pairs = [];
  const add = (fronts, grounds, least) => fronts.forEach((f) => grounds.forEach((g) => pairs.push([f, g, least])));
  add(['ink'], [...GROUNDS, 'action-soft', 'good-soft', 'info-soft', 'warn-soft', 'bad-soft', 'held-soft'], 4.5);
  add(['ink-2', 'action', 'action-hover'], [...GROUNDS, 'action-soft'], 4.5);
  for (const role of ['good', 'info', 'warn', 'bad', 'held']) add([role], [...GROUNDS, `${role}-soft`], 4.5);
  add(['on-action'], ['action', 'action-hover'], 4.5);
  add(['paper'], ['ink'], 4.5);
  add(['line-strong', 'focus'], [...GROUNDS, 'action-soft'], 3);
  add(['chart-1', 'chart-2', 'chart-3', 'chart-4', 'chart-5'], ['surface', 'paper'], 3);
  add(['chart-1'], ['surface'], 4.5);
  add(['held', 'action'], ['line'], 3);
  return pairs;
}

function nightPairs() {
  const text = ['ink', 'ink-2', 'action', 'good', 'warn', 'bad', 'info', 'held', 'signal'];
  return [...text.map((f) => [f, 'night', 4.5]), ...['line-strong', 'focus'].map((f) => [f, 'night', 3])];
}

function oklab(rgb) {
  const [r, g, b] = rgb.map((v) => Math.min(1, Math.max(0, v)));
  const l = Math.cbrt(.4122214708 * r + .5363325363 * g + .0514459929 * b);
  const m = Math.cbrt(.2119034982 * r + .6806995451 * g + .1073969566 * b);
  const s = Math.cbrt(.0883024619 * r + .2817188376 * g + .6299787005 * b);
  return [.2104542553 * l + .793617785 * m - .0040720468 * s, 1.9779984951 * l - 2.428592205 * m + .4505937099 * s,
    .0259040371 * l + .7827717662 * m - .808675766 * s];
}

function lowestDistance(colours) {
  let lowest = Infinity;
  for (const matrix of Object.values(SIGHTS)) {
    const seen = [1, 2, 3, 4].map((i) => {
      const rgb = linear(colours[`chart-${i}`]);
      return oklab(matrix.map((row) => row.reduce((sum, v, j) => sum + v * rgb[j], 0)));
    });
    seen.forEach((one, i) => seen.slice(0, i).forEach((other) => {
      lowest = Math.min(lowest, 100 * Math.hypot(...one.map((v, q) => v - other[q])));
    }));
  }
  return lowest;
}

export function checkContrast(tokens) {
  const failures = [];
  let pairs = 0;
  const check = (theme, colours, list) => list.forEach(([front, ground, least]) => {
    pairs += 1;
    const found = ratio(colours[front], colours[ground]);
    if (!(found >= least)) failures.push(`${theme}: ${front} on ${ground} is ${found.toFixed(2)}, needs ${least}`);
  });
  const light = palette(tokens, 'light');
  const dark = palette(tokens, 'dark');
  check('light', light, pagePairs());
  check('dark', dark, pagePairs());
  NIGHTS.forEach((night) => check(`night ${night}`, {...dark, night}, nightPairs()));
  const distance = Math.min(lowestDistance(light), lowestDistance(dark));
  if (!(distance >= LOWEST_DISTANCE)) failures.push(`chart series: colour distance ${distance.toFixed(1)}, needs ${LOWEST_DISTANCE}`);
  return {pairs, failures, lowestDistance: distance};
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const result = checkContrast(fs.readFileSync(new URL('scss/_tokens.scss', import.meta.url), 'utf8'));
  console.log(`${result.pairs} pairs, ${result.failures.length} too low, lowest colour distance ${result.lowestDistance.toFixed(1)}`);
  result.failures.forEach((line) => console.log(line));
  process.exitCode = result.failures.length ? 1 : 0;
}
