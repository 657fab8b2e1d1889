"""What the documentation points at is there: files of the repository, pages, and the sections within them."""
import re
import unittest

from paths import ROOT

PAGES = [*sorted((ROOT / "docs").glob("*.md")), *(ROOT / name for name in ("README.md", "CHANGELOG.md", "tests/README.md"))]
FOLDERS = "gateway|runtime|poller|proto|tests|deploy|fuzz|docs|web"
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(rf"`((?:{FOLDERS})/[\w./-]+)`")


def anchors(page):
    """The names under which its headings can be reached, as forges make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


class Docs(unittest.TestCase):
    def test_links_lead_somewhere(self):
        for page in PAGES:
            for link in LINK.findall(page.read_text()):
                if re.match(r"[a-z]+:", link):
                    continue
                path, _, anchor = link.partition("#")
                target = (page.parent / path).resolve() if path else page
                with self.subTest(page=page.name, link=link):
                    self.assertTrue(target.exists())
                    if anchor:
                        self.assertIn(anchor, anchors(target))

    def test_files_that_are_named_are_there(self):
        for page in PAGES:
            for name in FILE.findall(page.read_text()):
                with self.subTest(page=page.name, file=name):
                    # What is built is not there yet; tests/README.md names files from where it is.
                    self.assertTrue((ROOT / name).exists() or (page.parent / name).exists() or "/dist" in name)

    def test_every_page_can_be_reached_from_the_first(self):
        reached, todo = set(), [ROOT / "README.md"]
        while todo:
            page = todo.pop()
            if page in reached or page.suffix not in (".md", ".yaml") or not page.exists():
                continue
            reached.add(page)
            links = LINK.findall(page.read_text()) if page.suffix == ".md" else []
            todo += [(page.parent / link.partition("#")[0]).resolve() for link in links if not re.match(r"[a-z]+:", link)]
        pages = set((ROOT / "docs").glob("*.md")) | set((ROOT / "docs").glob("*.yaml"))
        self.assertFalse({page.name for page in pages - reached})
