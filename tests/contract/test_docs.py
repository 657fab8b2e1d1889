"""What the documentation points at is there: files of the repository, pages, and the sections within them."""
import re
import unittest

from paths import ROOT

PAGES = [*sorted((ROOT / "docs").glob("*.md")), *(ROOT / name for name in ("README.md", "CHANGELOG.md", "tests/README.md"))]
FOLDERS = "gateway|runtime|poller|proto|tests|deploy|fuzz|docs|web"
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(rf"`((?:{FOLDERS})/[\w./-]+)`")

# Of scripts and of docker-compose.yml, and not of the programs.
NOT_OPTIONS = {"PROMCAST_SUBNET", "PROMCAST_BIN_DIR"}
# Attributes of traces, and a file.
OTHERS = {"http.request.method", "http.response.status_code", "stream.rs"}


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

    def test_options_that_are_named_exist(self):
        reference = (ROOT / "docs/configuration.md").read_text()
        known = set(re.findall(r"^\| `([\w.]+)` \|", reference, re.MULTILINE))
        variables = set(re.findall(r"PROMCAST_[A-Z_]+", reference))
        sections = {option.partition(".")[0] for option in known if "." in option}
        self.assertGreater(len(known), 80)
        for page in PAGES:
            text = page.read_text()
            for option in set(re.findall(rf"`((?:{'|'.join(sections)})\.[a-z_]+(?:\.[a-z_]+)?)`", text)) - OTHERS:
                with self.subTest(page=page.name, option=option):
                    # `auth.kubernetes` is a section; one that only the file has is described where it is used.
                    self.assertTrue(option in known or any(one.startswith(f"{option}.") for one in known), option)
            for variable in re.findall(r"PROMCAST_[A-Z_]*[A-Z]", text):
                with self.subTest(page=page.name, variable=variable):
                    self.assertIn(variable, variables | NOT_OPTIONS)

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
