"""The style sheet and the program of all pages; both stand inside the page."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --page: #fdfdfb; --ink: #1c1e21;
  --soft: #5c6167; --line: #dcdcd6; --tint: #f0f4ee; --accent: #00664c;
  --good: #00664c; --bad: #a3281c; --open: #8a5a00;
  --sans: system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue',
    Arial, sans-serif }
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #15171a; --ink: #e3e4e6; --soft: #a3a8ae; --line: #35393e;
    --tint: #1e2723; --accent: #5fc8a5; --good: #5fc8a5; --bad: #f0887b;
    --open: #e0b050 } }
* { box-sizing: border-box }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100% }
body { margin: 0 auto; padding: 2rem clamp(1rem, 3vw, 3rem) 4rem;
  max-width: 100rem; background: var(--page); color: var(--ink);
  font: 1.0625rem/1.55 Charter, 'Bitstream Charter', 'Sitka Text', Cambria,
    Georgia, serif; overflow-wrap: break-word }
h1, h2, h3 { line-height: 1.2; text-wrap: balance }
h1 { margin: 0 0 .5rem; font-size: clamp(1.4rem, 3vw, 1.9rem) }
h2 { margin: 2.75rem 0 .75rem; padding-top: .6rem; font-size: 1.35rem;
  border-top: 1px solid var(--line) }
p, ul, figcaption { max-width: 46rem }
p { margin: .75rem 0 }
.lead { font-size: 1.05rem; color: var(--soft) }
.note, figcaption, caption { font: .875rem/1.5 var(--sans);
  color: var(--soft) }
ul { margin: .75rem 0; padding-left: 1.1rem }
li { margin: .45rem 0 }
sup { line-height: 0; font-size: .7em }
dl { display: grid; grid-template-columns: minmax(6.5rem, max-content) 1fr;
  gap: .4rem 1.1rem; margin: 1rem 0; font: .9375rem/1.5 var(--sans) }
dt { font-weight: 600 }
dd { margin: 0; min-width: 0; max-width: 46rem; overflow-wrap: anywhere }
figure { margin: 1.25rem 0 }
figure svg { display: block; width: 100%; max-width: 40rem; height: auto;
  font-family: var(--sans) }
figcaption { margin-top: .6rem }
.beside > * { min-width: 0 }
.verdict h2 { margin-top: 0; border: 0; padding: 0; font-size: 1.1rem;
  font-weight: 400; color: var(--soft) }
.verdict figure { margin: 0 }
.answer { margin: .25rem 0 .75rem; padding: .1rem 0 .1rem .9rem;
  border-left: .4rem solid var(--open); color: var(--open);
  font: 700 clamp(1.5rem, 3.2vw, 2.1rem)/1.2 var(--sans) }
.plain .answer { border-color: var(--ink); color: var(--ink) }
.good .answer { border-color: var(--good); color: var(--good) }
.bad .answer { border-color: var(--bad); color: var(--bad) }
.says { font-size: 1.2rem }
.numbers { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr));
  gap: .5rem 1rem; margin: 1rem 0; padding: .75rem 0; list-style: none;
  border: solid var(--line); border-width: 1px 0; max-width: 46rem;
  font: .8125rem/1.4 var(--sans) }
.numbers li { margin: 0 }
.numbers strong { display: block; font-size: clamp(1.3rem, 3vw, 1.8rem);
  line-height: 1.2; font-variant-numeric: tabular-nums }
.numbers i { display: block; font-style: normal; color: var(--soft) }
.scroll { margin: 1.25rem 0; overflow-x: auto; container-type: inline-size }
.scroll:focus-visible, summary:focus-visible, th button:focus-visible,
td:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px }
table { border-collapse: collapse; font: .8125rem/1.45 var(--sans);
  font-variant-numeric: tabular-nums lining-nums }
caption { text-align: left }
caption p { position: sticky; left: 0; width: max-content; margin: 0 0 .5rem;
  max-width: min(46rem, 100cqw) }
th, td { padding: .3rem .5rem; text-align: right; vertical-align: top;
  white-space: nowrap }
th:first-child { position: sticky; left: 0; padding-left: 0; text-align: left;
  background: var(--page); font-weight: 400 }
th[scope=row] { white-space: normal; min-width: 9rem; max-width: 24rem }
thead th, thead th:first-child, th[scope=rowgroup] { font-weight: 600 }
thead th { border-bottom: 1px solid var(--ink); vertical-align: bottom }
thead button { all: unset; cursor: pointer }
th[aria-sort=ascending] button::after { content: ' ▲' }
th[aria-sort=descending] button::after { content: ' ▼' }
tbody { border-bottom: 1px solid var(--line) }
th[scope=rowgroup] + td { padding: 0 }
.words td, .words th { text-align: left }
.words td { white-space: normal; min-width: 11rem; max-width: 34rem }
.ci { color: var(--soft) }
td[data-seeds] { cursor: help }
.best th[scope=row], .best th + td { background: var(--tint);
  font-weight: 700 }
.best .ci { font-weight: 400 }
.best th[scope=row] { padding-left: .4rem }
.aside th, .aside td { color: var(--soft) }
.mark { padding: 0 .4em; border-radius: .6em; font-size: .75rem;
  white-space: nowrap; background: var(--accent); color: var(--page) }
.all { display: none; font: .8125rem/2 var(--sans) }
#tip { position: fixed; z-index: 2; max-width: 18rem; padding: .4rem .6rem;
  border: 1px solid var(--line); border-radius: .3rem; color: var(--ink);
  background: var(--tint); font: .8125rem/1.4 var(--sans);
  white-space: pre-line; pointer-events: none }
summary { cursor: pointer; font: 600 .9375rem/1.5 var(--sans) }
@media (min-width: 62rem) {
  .beside { display: grid; gap: 1rem 3rem; align-items: start;
    grid-template-columns: minmax(0, 1.15fr) minmax(0, 1fr) }
  ul.columns { columns: 2; column-gap: 3rem; max-width: none } }
@media (min-width: 48rem), print {
  .facts, details dl { grid-template-columns: max-content 1fr max-content 1fr;
    max-width: none }
  .facts dt:last-of-type { grid-column: 1 }
  .facts dd:last-of-type { grid-column: 2 / -1; max-width: none } }
@media (max-width: 34rem) {
  body { padding-top: 1rem }
  .numbers { gap: .5rem }
  dl { grid-template-columns: 1fr; gap: 0 }
  dd { margin-bottom: .6rem }
  .all { display: block }
  .scroll:has(.all input:not(:checked)) tr > :nth-child(n + 4) {
    display: none }
  .scroll:not(:has(.all input:checked)) :is(th, td) { white-space: normal }
  th[scope=row] { min-width: 0 }
  .words td { min-width: 0 } }
@media print {
  @page { margin: 14mm 14mm 18mm;
    @bottom-left { content: var(--title); font: 8pt sans-serif }
    @bottom-right { content: counter(page) ' / ' counter(pages);
      font: 8pt sans-serif } }
  body { max-width: none; padding: 0; font-size: 10pt; --page: #fff }
  .verdict .beside { display: grid; gap: 1rem 1.5rem;
    grid-template-columns: minmax(0, 1.15fr) minmax(0, 1fr) }
  h2 { margin-top: 1.25rem; break-after: avoid }
  .says { font-size: 11pt }
  .numbers, .note, figcaption, caption, dl, summary { font-size: 8.5pt }
  .numbers strong { font-size: 15pt }
  .answer { font-size: 18pt; print-color-adjust: exact }
  .appendix { break-before: page }
  .scroll { overflow: visible; container-type: normal }
  .scroll th, .scroll td { position: static; padding: .15rem .35rem;
    font-size: 7.2pt }
  .words td { min-width: 0 }
  figure, .scroll, tbody, tr, li, dt, dd, p { break-inside: avoid }
  summary, caption, thead { break-after: avoid }
  figure svg { max-width: 105mm }
  caption p { max-width: none; width: auto }
  .best th[scope=row], .best th + td, .mark { print-color-adjust: exact }
  details::details-content { content-visibility: visible; block-size: auto } }
"""

# A click on a heading sorts by it: downwards, upwards, and as it was. A sorted
# table has no groups, so each row gets its whole name. What a cell is made of
# is shown while the pointer is over it. Without this program the page shows all
# of it but the order, and the browser's own tip.
SCRIPT = """
for (const table of document.querySelectorAll('table')) {
  const heads = [...table.tHead.rows[0].cells];
  const bodies = [...table.tBodies];
  const rows = bodies.flatMap(body => [...body.rows])
    .filter(row => row.cells[0].scope === 'row');
  if (rows.length < 3) continue;
  const homes = rows.map(row => [row, row.parentNode, row.cells[0].innerHTML]);
  const places = bodies.map(body => [body, [...body.rows]]);
  const flat = document.createElement('tbody');
  const number = cell => {
    const text = (cell ? cell.textContent : '').replace(/\\u2212/g, '-')
      .replace(/,(?=\\d{3})/g, '');
    const found = parseFloat(text);
    return Number.isFinite(found) ? found : null;
  };
  heads.forEach((head, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.innerHTML = head.innerHTML || '&nbsp;';
    button.title = 'Sort';
    head.replaceChildren(button);
    button.onclick = () => {
      const now = head.getAttribute('aria-sort');
      const next = now === 'descending' ? 'ascending' :
        now === 'ascending' ? null : 'descending';
      heads.forEach(other => other.removeAttribute('aria-sort'));
      if (!next) {
        homes.forEach(([row, , name]) => { row.cells[0].innerHTML = name });
        places.forEach(([body, all]) => {
          body.replaceChildren(...all); table.append(body) });
        flat.remove();
        return;
      }
      head.setAttribute('aria-sort', next);
      const sign = next === 'ascending' ? 1 : -1;
      const sorted = rows.map(row => [
        number(row.cells[column]), row.cells[column].textContent, row]);
      sorted.sort(([a, s], [b, t]) =>
        a === null && b === null ? sign * s.localeCompare(t) :
        a === null ? 1 : b === null ? -1 : sign * (a - b));
      homes.forEach(([row, , name]) => {
        row.cells[0].innerHTML = row.dataset.name ? row.dataset.name : name });
      flat.replaceChildren(...sorted.map(([, , row]) => row));
      bodies.forEach(body => body.remove());
      table.append(flat);
    };
  });
}
const tip = document.createElement('div');
tip.id = 'tip'; tip.hidden = true; tip.setAttribute('role', 'tooltip');
document.body.append(tip);
for (const cell of document.querySelectorAll('td[data-seeds]')) {
  cell.removeAttribute('title');
  cell.tabIndex = 0;
  const show = () => {
    tip.textContent = cell.dataset.seeds; tip.hidden = false;
    const box = cell.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(
      box.left, innerWidth - tip.offsetWidth - 8)) + 'px';
    const below = box.bottom + 4 + tip.offsetHeight < innerHeight;
    tip.style.top = (below ? box.bottom + 4
      : box.top - tip.offsetHeight - 4) + 'px';
  };
  cell.onmouseenter = cell.onfocus = show;
  cell.onmouseleave = cell.onblur = () => { tip.hidden = true };
}
addEventListener('scroll', () => { tip.hidden = true }, true);
"""
