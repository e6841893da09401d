"""Tells kinds of traffic apart by lengths, times and TCP flags: two captures are made, a model learns from one and is tried on
the other.

usage: classify.py [--flows N] [--plot OUT.png]      (pip install '.[pandas]' scikit-learn matplotlib)
"""

import argparse
import os
import tempfile

import joyfuljay
import matplotlib
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import ConfusionMatrixDisplay, classification_report
from traffic import KINDS, label, write

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

# No addresses, no ports and no names: a model that learns who speaks has learnt nothing about how.
LEARNT_FROM = ["timing", "size", "tcp"]


def table(folder, seed, flows):
    """The features of a capture that was just made, and the kind of each flow."""
    capture = os.path.join(folder, f"traffic-{seed}.pcap")
    write(capture, flows, seed)
    frame = joyfuljay.extract(capture, features=["flow_meta", *LEARNT_FROM], flow_timeout=60)
    kinds = frame["src_ip"].map(label)
    groups = {meta.name: meta.group for meta in joyfuljay.schema.all_feature_meta().values()}
    columns = [name for name in frame.columns if groups[name] in LEARNT_FROM]
    # All of them are numbers or truth values; what is not known is NaN, and a forest can learn from that too.
    return frame[columns].astype("float64"), kinds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flows", type=int, default=600)
    parser.add_argument("--plot", metavar="OUT.png")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        known, kinds = table(folder, 1, arguments.flows)
        unseen, truth = table(folder, 2, arguments.flows)

    model = RandomForestClassifier(n_estimators=200, random_state=0, n_jobs=1).fit(known, kinds)
    said = model.predict(unseen)
    print(f"{len(known)} flows learnt from, {len(unseen)} others told apart, {known.shape[1]} features")
    print(classification_report(truth, said, digits=3))
    weights = sorted(zip(model.feature_importances_, known.columns, strict=True), reverse=True)[:12]
    for weight, name in weights:
        print(f"{weight:.3f}  {name:24} {joyfuljay.describe(name).formula}")

    if arguments.plot:
        figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
        ConfusionMatrixDisplay.from_predictions(truth, said, labels=KINDS, ax=left, cmap="Blues", colorbar=False)
        left.set(title="Flows of a capture that the model has not seen", xlabel="said", ylabel="true")
        left.tick_params(axis="x", rotation=30)
        right.barh([name for _, name in weights][::-1], [weight for weight, _ in weights][::-1], color="#4477aa")
        right.set(title="What it goes by", xlabel="importance in the forest")
        right.spines[["top", "right"]].set_visible(False)
        figure.savefig(arguments.plot, dpi=110)


if __name__ == "__main__":
    main()
