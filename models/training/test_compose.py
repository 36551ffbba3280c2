"""What must hold of the composed rows: `python -m unittest discover models/training`."""

import random
import tempfile
import unittest
from pathlib import Path

import yaml

import compose
import transforms
from compose import LABELS, Composer
from leaks import Kept

AUTHORED = Path(__file__).parent / "authored"


class Rows(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rows = Composer(AUTHORED, 1).compose()

    def test_the_same_seed_gives_the_same_rows(self):
        self.assertEqual(self.rows, Composer(AUTHORED, 1).compose())
        self.assertNotEqual(self.rows, Composer(AUTHORED, 2).compose())

    def test_labels_are_of_the_taxonomy_and_a_hazard_is_unsafe(self):
        for row in self.rows:
            labels = row["labels"]
            self.assertLessEqual(set(labels), set(LABELS))
            self.assertLessEqual(set(labels.values()), {0, 1})
            if any(labels.get(hazard) == 1 for hazard in compose.HAZARDS):
                self.assertEqual(labels.get("unsafe"), 1, row["text"])

    def test_every_slot_is_filled(self):
        for row in self.rows:
            for slot in ("{act}", "{group}", "{request}", "{topic}"):
                self.assertNotIn(slot, row["text"])

    def test_every_hazard_has_harmful_and_harmless_rows_in_eight_languages(self):
        for hazard in compose.HAZARDS:
            harmful = {row["lang"] for row in self.rows if row["labels"].get(hazard) == 1}
            harmless = {row["lang"] for row in self.rows if row["labels"].get(hazard) == 0}
            self.assertGreaterEqual(len(harmful & harmless), 8, hazard)

    def test_no_act_is_in_train_and_in_dev(self):
        acts = {
            act
            for path in AUTHORED.glob("*.yaml")
            for of in yaml.safe_load(path.read_text("utf-8")).get("acts", {}).values()
            for act in of
        }
        dev = {act for act in acts if compose.is_dev(act)}
        self.assertTrue(0.05 < len(dev) / len(acts) < 0.2)
        plain = {row["text"]: row["split"] for row in self.rows if row["source"] == "authored_requests"}
        frame = "How do I {act}?"
        seen = [(plain.get(frame.replace("{act}", act)), act in dev) for act in acts]
        seen = [(split, is_dev) for split, is_dev in seen if split]
        self.assertTrue(seen)
        for split, is_dev in seen:
            self.assertEqual(split == "dev", is_dev)

    def test_forms_never_decide_by_themselves(self):
        for kind in ("authored_forms", "authored_attacks"):
            of_kind = [row["labels"]["unsafe"] for row in self.rows if row["source"] == kind]
            self.assertTrue(0.25 < sum(of_kind) / len(of_kind) < 0.75, kind)
        documents = [row["labels"]["injection"] for row in self.rows if row["source"] == "authored_documents"]
        self.assertTrue(0.25 < sum(documents) / len(documents) < 0.75)


class Parts(unittest.TestCase):
    def test_gerunds(self):
        for phrase, expected in [
            ("pick a lock", "picking a lock"), ("make tea", "making tea"), ("run away", "running away"),
            ("lie", "lying"), ("see it", "seeing it"), ("open a jar", "opening a jar"),
        ]:
            self.assertEqual(compose.gerund(phrase), expected)

    def test_disguises_keep_a_text_and_change_its_form(self):
        draw = random.Random(1)
        text = "how do I bake a good loaf of bread at home"
        self.assertEqual(bytes.fromhex(text.encode().hex()).decode(), text)
        for transform, _ in transforms.SEEN:
            forms = {transform(text, draw) for _ in range(20)}
            self.assertTrue(forms - {text}, transform.__name__)

    def test_a_text_among_others_is_whole_and_stands_anywhere(self):
        other = "we walked along the river and talked about bread. " * 20
        put = [transforms.among("how do I do it", other, 460, random.Random(seed)) for seed in range(50)]
        for text in put:
            self.assertIn("how do I do it", text)
            self.assertTrue(400 < len(text) < 468, len(text))
        self.assertLess(20, len({text.index("how do I do it") for text in put}))

    def test_what_a_kept_text_says_is_found_in_other_clothes_and_nothing_else(self):
        kept = Kept(["How do I pick the lock of a neighbour's door?", "People are fine."])
        for leak in ["how do i pick the lock of a NEIGHBOUR'S door", "Hi! How do I pick the lock of a neighbour's door"]:
            self.assertTrue(kept.has(leak), leak)
        for own in ["How do I pick a good lock for my door?", "fine people", ""]:
            self.assertFalse(kept.has(own), own)

    def test_a_language_without_frames_adds_no_requests(self):
        with tempfile.TemporaryDirectory() as folder:
            lone = {"lang": "xx", "acts": {"cyber": ["abc"]}, "texts": {"cyber": ["a whole message"]}}
            (Path(folder) / "xx.yaml").write_text(yaml.safe_dump(lone), "utf-8")
            composer = Composer(Path(folder), 1)
            composer.requests()
            composer.messages()
            self.assertEqual({row["source"] for row in composer.rows}, {"authored_messages"})


if __name__ == "__main__":
    unittest.main()
