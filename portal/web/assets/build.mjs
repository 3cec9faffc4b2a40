// Builds what browsers load: portal.<hash>.css, portal.<hash>.js, favicon.<hash>.svg and manifest.json.
// Fails when a file is over its weight, when a contrast is too low, or when a physical direction is left.
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';
import {createHash} from 'node:crypto';
import {createRequire} from 'node:module';
import {fileURLToPath} from 'node:url';
import * as sass from 'sass';
import {checkContrast} from './contrast.mjs';
import {logical, physicalLeft} from './logical.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, '../../..');
const out = path.resolve(here, '../static');
const require = createRequire(import.meta.url);
const LIMIT_CSS_GZ = 25_000;
const LIMIT_JS_GZ = 20_000;
const JS_SOURCES = ['setup', 'menus', 'once', 'autosave', 'polls', 'extras'];

function styles() {
  const warnings = [];
  const css = sass.compile(path.join(here, 'scss/portal.scss'), {
    style: 'compressed', charset: false, quietDeps: true, silenceDeprecations: ['import'],
    loadPaths: [path.join(root, 'node_modules')], logger: {warn: (message) => warnings.push(message)},
  }).css;
  if (warnings.length) throw new Error(`Sass warns: ${warnings[0]}`);
  const sheet = logical(css.replace(/\/\*!.*?\*\//gs, ''));
  const left = physicalLeft(sheet);
  if (left.length) throw new Error(`Physical directions are left: ${left.slice(0, 3).join(' | ')}`);
  return sheet;
}

function scripts() {
  const htmx = fs.readFileSync(require.resolve('htmx.org/dist/htmx.min.js'), 'utf8').replace(/\n?\/\/# sourceMappingURL=.*/g, '');
  const own = JS_SOURCES.map((name) => fs.readFileSync(path.join(here, 'js', `${name}.js`), 'utf8')
    // Our sources keep comments on lines of their own, so that dropping those lines is safe.
    .split('\n').filter((line) => !/^\s*(\/\/|$)/.test(line)).map((line) => line.trim()).join('\n'));
  return `${htmx.trim()}\n(() => {\n${own.join('\n')}\n})();\n`;
}

function write(name, text) {
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 10);
  const {name: stem, ext} = path.parse(name);
  const file = `${stem}.${hash}${ext}`;
  const gz = zlib.gzipSync(text, {level: 9});
  fs.writeFileSync(path.join(out, file), text);
  fs.writeFileSync(path.join(out, `${file}.gz`), gz);
  fs.writeFileSync(path.join(out, `${file}.br`), zlib.brotliCompressSync(text));
  return {file, bytes: Buffer.byteLength(text), gz: gz.length};
}

function sweep(kept) {
  for (const file of fs.readdirSync(out)) {
    const stem = file.replace(/\.(gz|br)$/, '');
    if (/^\w+\.[0-9a-f]{10}\.\w+$/.test(stem) && !kept.has(stem)) fs.rmSync(path.join(out, file), {force: true});
  }
}

const contrast = checkContrast(fs.readFileSync(path.join(here, 'scss/_tokens.scss'), 'utf8'));
if (contrast.failures.length) throw new Error(`Contrast too low:\n${contrast.failures.join('\n')}`);

fs.mkdirSync(out, {recursive: true});
const built = {
  'portal.css': write('portal.css', styles()),
  'portal.js': write('portal.js', scripts()),
  'favicon.svg': write('favicon.svg', fs.readFileSync(path.join(here, 'favicon.svg'), 'utf8')),
};
const limits = {'portal.css': LIMIT_CSS_GZ, 'portal.js': LIMIT_JS_GZ};
for (const [name, limit] of Object.entries(limits)) {
  if (built[name].gz > limit) throw new Error(`${name} weighs ${built[name].gz} bytes compressed, the limit is ${limit}.`);
}
// The manifest is replaced in one step: a running portal reads the old one or the new one, never half.
const manifest = Object.fromEntries(Object.entries(built).map(([name, made]) => [name, made.file]));
const draft = path.join(out, `manifest.${process.pid}.new`);
fs.writeFileSync(draft, `${JSON.stringify(manifest, null, 2)}\n`);
fs.renameSync(draft, path.join(out, 'manifest.json'));
sweep(new Set(Object.values(manifest)));
for (const [name, made] of Object.entries(built)) console.log(`${name} ${made.bytes} bytes, ${made.gz} compressed`);
console.log(`contrast ${contrast.pairs} pairs, 0 too low; lowest colour distance ${contrast.lowestDistance.toFixed(1)}`);
