//! The one style sheet of pages and charts: colours are variables, so that light, dark and print are three short lists.

/// Of pages. Holds no `<`, `>` or `&`, so that it is the same in HTML and XML.
pub const PAGE: &str = "
:root { color-scheme: light dark; --paper: #fcfbf8; --panel: #f4f2ec; --ink: #20242c; --soft: #5d6470; --rule: #dcd9d0;
  --grid: #e8e5dd; --down: #2b6cb0; --up: #c2621b; --mark: #b1202e; --good: #1d7a46; --bad: #b1202e; --accent: #2b6cb0;
  --third: #6b4fa0; --approximation: #2b6cb0; --rounding: #c2621b; --remainder: #6b7f3f; --allowed: #20242c; }
@media (prefers-color-scheme: dark) { :root { --paper: #15181d; --panel: #1d2127; --ink: #e4e3df; --soft: #9aa1ab;
  --rule: #343a43; --grid: #272c33; --down: #6aaef0; --up: #f0a05e; --mark: #ff7b84; --good: #5cc48a; --bad: #ff7b84;
  --accent: #7db8f2; --third: #b79cf0; --approximation: #6aaef0; --rounding: #f0a05e; --remainder: #b5c77a;
  --allowed: #e4e3df; } }
@media print { :root { color-scheme: light; --paper: #ffffff; --panel: #ffffff; --ink: #000000; --soft: #444444;
  --rule: #bbbbbb; --grid: #dddddd; --down: #1f5f9f; --up: #b3560f; --mark: #a3141f; --good: #14592f; --bad: #a3141f;
  --accent: #000000; --third: #4f3785; --approximation: #1f5f9f; --rounding: #b3560f; --remainder: #556b20;
  --allowed: #000000; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.55; font-size: 16px;
  font-family: system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', 'DejaVu Sans', sans-serif;
  font-variant-numeric: tabular-nums lining-nums; }
main { max-width: 58rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
h1, h2, .claim { font-family: Charter, 'Bitstream Charter', 'Iowan Old Style', Palatino, Georgia, 'DejaVu Serif', serif;
  font-weight: 600; line-height: 1.25; }
h1 { font-size: 1.9rem; margin: 0.2rem 0 0; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2.8rem 0 0.6rem; padding-top: 0.9rem; border-top: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.6rem 0 0.3rem; }
p { margin: 0.5rem 0; max-width: 46rem; }
a { color: var(--accent); }
code, pre, .code { font-family: ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace; font-size: 0.86em; }
.kicker { color: var(--soft); font-size: 0.85rem; margin: 0; }
.kicker a { text-decoration: none; }
.badge { display: inline-block; font-size: 0.82rem; font-weight: 700; letter-spacing: 0.06em; padding: 0.14rem 0.6rem;
  border: 1.5px solid currentColor; border-radius: 0.3rem; vertical-align: 0.25em; white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); } .soft { color: var(--soft); }
.claim { font-size: 1.5rem; margin: 1.4rem 0 0.3rem; max-width: none; font-weight: 500; }
.claim .bound { white-space: nowrap; }
.lead { color: var(--soft); margin-top: 0; }
ul.plain { list-style: none; margin: 0.7rem 0; padding: 0; font-size: 0.92rem; }
ul.plain li { margin: 0.35rem 0; padding-left: 1.1rem; text-indent: -1.1rem; overflow-wrap: anywhere; }
.facts { display: grid; grid-template-columns: repeat(4, 1fr); gap: 1px; margin: 1.6rem 0 0;
  background: var(--rule); border: 1px solid var(--rule); border-radius: 0.4rem; overflow: hidden; }
.facts div { background: var(--panel); padding: 0.6rem 0.8rem 0.65rem; }
.facts dt { color: var(--soft); font-size: 0.78rem; }
.facts dd { margin: 0; font-size: 1.06rem; font-weight: 600; white-space: nowrap; }
.scroll { overflow-x: auto; margin: 0.7rem 0; }
table { border-collapse: collapse; font-size: 0.88rem; width: 100%; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: 0.78rem; vertical-align: bottom;
  border-bottom: 1px solid var(--ink); padding: 0.25rem 0.7rem 0.3rem 0; white-space: nowrap; }
td { padding: 0.3rem 0.7rem 0.3rem 0; border-bottom: 1px solid var(--grid); vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; }
td.number, th.number { text-align: right; white-space: nowrap; }
td.name { white-space: nowrap; }
td.formula { min-width: 20rem; overflow-wrap: anywhere; }
td .note { display: block; color: var(--soft); font-size: 0.92em; font-family: system-ui, 'DejaVu Sans', sans-serif; }
.chart { display: block; width: 100%; height: auto; }
figure { margin: 0.8rem 0 0.4rem; }
.caption, .legend { font-size: 0.85rem; color: var(--soft); max-width: none; }
.legend { display: flex; flex-wrap: wrap; gap: 0.2rem 1.3rem; margin: 0.4rem 0 0; }
.key { white-space: nowrap; }
.swatch { display: inline-block; width: 1.5em; height: 0.75em; margin-right: 0.45em; vertical-align: -0.02em; }
.swatch.down { background: var(--down); opacity: 0.6; } .swatch.up { background: var(--up); opacity: 0.6; }
.swatch.bound, .swatch.allowed { height: 0; border-top: 2px dashed var(--ink); vertical-align: 0.28em; }
.swatch.witness { width: 0.7em; height: 0.7em; border-radius: 50%; background: var(--mark); }
.swatch.cut { width: 0; height: 0.95em; border-left: 1px dotted var(--soft); vertical-align: -0.1em; margin-left: 0.5em; }
.swatch.approximation { height: 3px; background: var(--approximation); vertical-align: 0.25em; }
.swatch.rounding { height: 3px; background: var(--rounding); vertical-align: 0.25em; }
.swatch.remainder { height: 3px; background: var(--remainder); vertical-align: 0.25em; }
pre { background: var(--panel); border: 1px solid var(--rule); border-radius: 0.4rem; padding: 0.8rem 1rem; overflow: auto;
  max-height: 26rem; line-height: 1.45; margin: 0.6rem 0; }
pre.command { max-height: none; white-space: pre-wrap; overflow-wrap: anywhere; }
dl.digests { display: grid; grid-template-columns: max-content 1fr; gap: 0.25rem 1.2rem; font-size: 0.88rem; }
dl.digests dt { color: var(--soft); } dl.digests dd { margin: 0; overflow-wrap: anywhere; }
.rejection { border-left: 4px solid var(--bad); background: var(--panel); padding: 0.7rem 1rem; margin: 1.4rem 0;
  max-width: none; overflow-wrap: anywhere; }
footer { margin-top: 3rem; border-top: 1px solid var(--rule); color: var(--soft); font-size: 0.82rem; }
@media (max-width: 44rem) { main { padding: 1.4rem 1rem 3rem; } h1 { font-size: 1.45rem; } .claim { font-size: 1.2rem; }
  figure .scroll .chart { width: 640px; max-width: none; }
  table { min-width: 36rem; } .facts { grid-template-columns: repeat(2, 1fr); } dl.digests { grid-template-columns: 1fr; gap: 0; }
  dl.digests dd { margin-bottom: 0.5rem; } }
@page { margin: 16mm 15mm; }
@media print { main { max-width: none; padding: 0; } body { font-size: 9.5pt; } h2, h3, h2 + p, h3 + p { break-after: avoid; }
  h2 { margin-top: 1.6rem; }
  figure, tr, .facts { break-inside: avoid; } figure { break-after: avoid; } pre { max-height: none; white-space: pre-wrap;
  overflow-wrap: anywhere; font-size: 7.5pt; } .scroll { overflow: visible; } a { text-decoration: none; }
  td.formula { min-width: 0; } table { font-size: 7.5pt; } th { font-size: 7pt; }
  td, th { padding-right: 0.45rem; } .claim { font-size: 15pt; } h1 { font-size: 18pt; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
";

/// Of charts, on pages and alone.
pub const CHART: &str = "
.chart text { fill: var(--soft); font-size: 12px; font-family: system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif;
  font-variant-numeric: tabular-nums; }
.chart text.strong { fill: var(--ink); font-size: 13px; font-weight: 600; }
.chart .grid { stroke: var(--grid); stroke-width: 1; }
.chart .axis, .chart .tick { stroke: var(--soft); stroke-width: 1; }
.chart .zero { stroke: var(--soft); stroke-width: 0.8; }
.chart .cut { stroke: var(--soft); stroke-width: 0.8; stroke-dasharray: 1 3; opacity: 0.7; }
.chart line.bound { stroke: var(--ink); stroke-width: 1.4; stroke-dasharray: 7 4; }
.chart text.bound { fill: var(--ink); font-weight: 600; }
.chart path.down { fill: var(--down); stroke: var(--down); fill-opacity: 0.55; stroke-width: 0.8; }
.chart path.up { fill: var(--up); stroke: var(--up); fill-opacity: 0.5; stroke-width: 0.8; }
.chart .witness { fill: var(--mark); stroke: var(--paper); stroke-width: 1.5; }
.chart .approximation { fill: none; stroke: var(--approximation); stroke-width: 2; }
.chart .rounding { fill: none; stroke: var(--rounding); stroke-width: 2; }
.chart .remainder { fill: none; stroke: var(--remainder); stroke-width: 2; }
.chart .allowed { fill: none; stroke: var(--allowed); stroke-width: 1.5; stroke-dasharray: 7 4; }
.chart .tail { fill: var(--grid); opacity: 0.6; }
.chart .front { fill: none; stroke: var(--down); stroke-width: 1.5; opacity: 0.55; }
.chart .load { fill: var(--down); } .chart .wait { fill: var(--up); } .chart text.site { fill: var(--ink); }
.chart .point { fill: var(--down); stroke: var(--paper); stroke-width: 1.5; }
.chart .point.beaten { fill: var(--paper); stroke: var(--soft); stroke-width: 1.5; }
.chart .point.few { fill: var(--good); } .chart .point.some { fill: var(--down); } .chart .point.many { fill: var(--up); }
.bar { display: block; width: 12rem; height: 0.7rem; margin-top: 0.35rem; }
.bar .room { fill: var(--grid); } .bar .used { fill: var(--down); } .bar .limit { stroke: var(--mark); stroke-width: 2; }
.bar .used.tight { fill: var(--up); }
";

/// The variables again, for a chart that stands alone as a file.
pub const STANDALONE: &str = "
svg { --paper: #fcfbf8; --ink: #20242c; --soft: #5d6470; --grid: #e8e5dd; --down: #2b6cb0; --up: #c2621b; --mark: #b1202e;
  --good: #1d7a46; --approximation: #2b6cb0; --rounding: #c2621b; --remainder: #6b7f3f; --allowed: #20242c; }
@media (prefers-color-scheme: dark) { svg { --paper: #15181d; --ink: #e4e3df; --soft: #9aa1ab; --grid: #272c33;
  --down: #6aaef0; --up: #f0a05e; --mark: #ff7b84; --good: #5cc48a; --approximation: #6aaef0; --rounding: #f0a05e;
  --remainder: #b5c77a; --allowed: #e4e3df; } }
@media print { svg { --paper: #ffffff; --ink: #000000; --soft: #444444; --grid: #dddddd; --down: #1f5f9f; --up: #b3560f;
  --mark: #a3141f; --good: #14592f; --allowed: #000000; } }
.paper { fill: var(--paper); }
";

#[cfg(test)]
mod tests {
    use super::*;

    /// The sheet is text in HTML and in XML: nothing in it may need an escape. And every colour is defined for each medium.
    #[test]
    fn the_sheet_needs_no_escapes_and_defines_what_it_uses() {
        for sheet in [PAGE, CHART, STANDALONE] {
            assert!(!sheet.contains(['<', '>', '&', '"']));
            assert_eq!(sheet.matches('{').count(), sheet.matches('}').count());
        }
        for used in [PAGE, CHART].concat().split("var(").skip(1).filter_map(|rest| rest.split(')').next()) {
            let definitions = PAGE.matches(&format!("{used}:")).count();
            assert!(definitions == 3, "{used} is defined {definitions} times: light, dark and print");
        }
    }
}
