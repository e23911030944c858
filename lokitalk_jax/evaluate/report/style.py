"""How the report looks."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Scores of {title}</title>
<style>{style}</style>
</head>
<body>
{body}
<footer>Rendered frames are synthetic media. Made by lokitalk_jax.</footer>
</body>
</html>
"""

STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --soft: #6b6b70; --rule: #d8d8dc;
  --paper: #fdfdfc; --band: #f3f3f1; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececee; --soft: #9b9ba1;
  --rule: #3a3a3e; --paper: #18181a; --band: #222225; } }
body { margin: 2.5rem auto; max-width: 68rem; padding: 0 1.25rem; color: var(--ink);
  background: var(--paper); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 1rem; }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .4rem; }
.facts { display: flex; flex-wrap: wrap; gap: .25rem 1.75rem; margin: 0; }
.facts dt { color: var(--soft); } .facts dd { margin: 0; font-weight: 600; }
.facts dt::after { content: ":"; }
.facts dt { margin-right: -1.4rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums;
  font-size: .875rem; }
th, td { padding: .4rem .7rem; text-align: right; border-bottom: 1px solid var(--rule);
  white-space: nowrap; vertical-align: top; }
tr:first-child th { white-space: normal; min-width: 6rem; color: var(--soft);
  font-weight: 600; vertical-align: bottom; }
tr th:first-child { text-align: left; position: sticky; left: 0;
  background: var(--paper); }
td small { display: block; color: var(--soft); font-size: .75rem; }
.paper th, .paper td { color: var(--soft); font-weight: 400; }
p { max-width: 46rem; color: var(--soft); } p b { color: var(--ink); }
figure { margin: .5rem 0 1rem; }
figcaption { color: var(--soft); font-size: .85rem; }
svg { width: 100%; max-width: 60rem; } svg text { font-size: 11px; fill: var(--soft); }
svg .rule { stroke: var(--rule); } svg polyline { stroke-width: 1.5; }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr));
  gap: .75rem; }
.row figure { margin: 0; } img, video { max-width: 100%; border-radius: 4px; }
footer { margin: 3rem 0 0; color: var(--soft); font-size: .85rem; }
"""
