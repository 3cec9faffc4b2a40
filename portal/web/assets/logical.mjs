// Rewrites physical directions to logical ones: one sheet then serves left-to-right and right-to-left pages.
const PAIRS = [
  [/\bmargin-left:/g, 'margin-inline-start:'], [/\bmargin-right:/g, 'margin-inline-end:'],
  [/\bpadding-left:/g, 'padding-inline-start:'], [/\bpadding-right:/g, 'padding-inline-end:'],
  [/([{;])left:/g, '$1inset-inline-start:'], [/([{;])right:/g, '$1inset-inline-end:'],
  [/text-align:left/g, 'text-align:start'], [/text-align:right/g, 'text-align:end'],
  [/border-left/g, 'border-inline-start'], [/border-right/g, 'border-inline-end'],
  [/border-top-left-radius/g, 'border-start-start-radius'], [/border-top-right-radius/g, 'border-start-end-radius'],
  [/border-bottom-left-radius/g, 'border-end-start-radius'], [/border-bottom-right-radius/g, 'border-end-end-radius'],
  [/clear:left/g, 'clear:inline-start'], [/clear:right/g, 'clear:inline-end'],
  [/float:left/g, 'float:inline-start'], [/float:right/g, 'float:inline-end'],
];

export function logical(css) {
  return PAIRS.reduce((text, [from, to]) => text.replace(from, to), css);
}

export function physicalLeft(css) {
  return css.match(/[{;](?:left|right):[^;}]*|(?:margin|padding|border)-(?:left|right)[^;}]*|(?:text-align|float|clear):(?:left|right)/g) ?? [];
}
