"""CSS of a report's page, for light and dark mode and wide and narrow screens."""

__all__ = ["STYLE"]

STYLE = """
:root { --text: #1a1a1a; --soft: #5a5a5a; --back: #fff; --line: #e0e0e0; --strong: #999; --card: #f4f6f8;
 --link: #0b57d0; --failed: #a40000; color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
 :root { --text: #e6e6e6; --soft: #a8a8a8; --back: #16181b; --line: #33373c; --strong: #70757a;
  --card: #20242a; --link: #8ab4f8; --failed: #ff8a80; }
 img { filter: brightness(.88); }
}
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back);
 max-width: 62rem; margin: 1.5rem auto; padding: 0 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .6rem; }
h2 { margin: 2.4rem 0 .8rem; border-bottom: 1px solid var(--line); }
h3 { margin: 1.6rem 0 .3rem; font-size: 1.05rem; } h4 { margin: 1rem 0 .2rem; font-size: 1rem; }
h4 small, th small { color: var(--soft); font-weight: 400; }
a { color: var(--link); } summary { cursor: pointer; padding: .35rem 0; }
.verdict { font-size: 1.15rem; background: var(--card); border-left: 4px solid var(--link);
 padding: .7rem 1rem; margin: 0 0 .8rem; border-radius: 0 6px 6px 0; }
.note { color: var(--soft); font-size: .85rem; margin: .3rem 0; } .failed { color: var(--failed); }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; list-style: none; padding: 0; margin: .8rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--back); }
thead th { border-bottom: 2px solid var(--strong); } tr.system th { padding-top: .8rem; }
tr.bound td { color: var(--soft); font-style: italic; }
td small { display: block; color: var(--soft); font-size: .75rem; }
figure { margin: .4rem 0 1rem; } img { max-width: 100%; height: auto; background: #fff; border-radius: 6px; }
.players { display: grid; gap: .4rem .8rem;
 grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); }
label { font-size: .85rem; color: var(--soft); } audio { display: block; width: 100%; height: 2.4rem; }
dt { font-weight: 600; } dd { margin: 0 0 .5rem 1rem; }
@media (max-width: 30rem) {
 body { margin-top: .8rem; padding: 0 .7rem; } h1 { font-size: 1.3rem; } .verdict { font-size: 1rem; }
 table { font-size: .8rem; } th, td { padding: .25rem; }
 td:first-child { white-space: normal; min-width: 5.5rem; }
}
"""
