"""What `mkdocs build` adds to the pages in docs/: those that are made from the code."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import columns
import commands
import python_api
import spec_keys
import specs
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
OF_ROOT = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
INLINE, OPTION = re.compile(r"<code>[^<\n]*</code>"), re.compile(r"--[a-z][a-z-]*")
PAGES: dict[str, Callable[[], str]] = {
    "reference/commands.md": commands.page,
    "reference/spec.md": spec_keys.page,
    "reference/specs.md": specs.page,
    "reference/columns.md": columns.page,
    "reference/python.md": python_api.page,
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, those of the repository's root, and the notebooks as pages."""
    made = {path: page() for path, page in PAGES.items()}
    made |= {path: (ROOT / name).read_text(encoding="utf-8") for name, path in OF_ROOT.items()}
    for notebook in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        made[f"notebooks/{notebook.stem}.md"] = of_notebook(notebook)
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to files of the checkout lead to the pages that are made of these."""
    for name, path in OF_ROOT.items():
        markdown = markdown.replace(f"](../{name})", f"]({path})")
    markdown = markdown.replace(".ipynb)", ".md)")
    if page.file.src_uri in OF_ROOT.values():
        markdown = re.sub(r"\]\(docs/", "](", markdown)
    return markdown


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Mark options of commands, which a phone's narrow lines would break at their hyphens."""
    return INLINE.sub(lambda code: OPTION.sub(r'<span class="option">\g<0></span>', code[0]), html)


def of_notebook(notebook: Path) -> str:
    """A notebook's cells as a page: its text, and its code in blocks."""
    blocks = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        blocks.append(f"```python\n{text}\n```" if cell["cell_type"] == "code" else text)
    blocks.append(f"The notebook is `{notebook.relative_to(ROOT)}`.")
    return "\n\n".join(blocks) + "\n"
