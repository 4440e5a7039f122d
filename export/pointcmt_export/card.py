"""The model card of an exported folder."""

from pointcmt_export.report import Report
from pointcmt_export.source import Source


def model_card(source: Source, report: Report) -> str:
    """Return a Hugging Face style model card in Markdown, with the figures of the checks."""
    config = source.config
    rows = "".join(f"| {c.name} | {c.status} | {c.detail} |\n" for c in report.checks)
    facts = "".join(f"- {key}: {value}\n" for key, value in config.provenance.items())
    return (
        "---\nlibrary_name: pointcmt\ntags: [point-cloud, classification, onnx]\n---\n\n"
        f"# {config.student} for inference, {len(config.classes)} classes\n\n"
        f"Takes clouds of {config.points} points, normalised by the rule "
        f"`{config.normalization}`; gives one logit a class. Classify with\n\n"
        "```python\nfrom pointcmt_serve import Classifier\n\n"
        'print(Classifier("this/folder")(points)[0].label)\n```\n\n'
        f"Classes: {', '.join(config.classes)}.\n\n"
        "## Verification against the checkpoint\n\n"
        f"| check | status | figures |\n|---|---|---|\n{rows}\n"
        f"Limits, machine and hashes are in `export_report.json`.\n\n## Provenance\n\n{facts}"
    )
