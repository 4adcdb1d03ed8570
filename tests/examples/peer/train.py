"""Matrix factorisation by stochastic gradient descent, on ratings that are made up here."""

import argparse
import json
import pathlib
import time

import numpy as np


def ratings(rng, users=60, items=40, rank=3):
    taste, kind = rng.normal(size=(users, rank)), rng.normal(size=(items, rank))
    table = taste @ kind.T + rng.normal(scale=0.3, size=(users, items))
    seen = rng.random((users, items)) < 0.35
    split = rng.random((users, items))

    def pick(low, high):
        return [(u, i, table[u, i]) for u, i in np.argwhere(seen & (split >= low) & (split < high))]

    return users, items, pick(0, 0.7), pick(0.7, 0.85), pick(0.85, 1)


def rmse(p, q, triples):
    return float(np.sqrt(np.mean([(p[u] @ q[i] - r) ** 2 for u, i, r in triples])))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--rank", type=int, default=2)
    parser.add_argument("--optimizer", choices=["sgd", "momentum"], default="sgd")
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sleep", type=float, default=0.0, help="seconds between epochs")
    parser.add_argument("--test", type=int, default=0, help="1: print the test error at the end")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()

    users, items, train, valid, test = ratings(np.random.default_rng(7))
    rng = np.random.default_rng(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    checkpoint, first = args.out / "model.npz", 1
    if checkpoint.exists():
        saved = np.load(checkpoint)
        p, q, vp, vq, first = saved["p"], saved["q"], saved["vp"], saved["vq"], int(saved["epoch"]) + 1
        print(f"resuming at epoch {first}")
    else:
        p, q = (rng.normal(scale=0.5, size=(n, args.rank)) for n in (users, items))
        vp, vq = np.zeros_like(p), np.zeros_like(q)
    beta = args.momentum if args.optimizer == "momentum" else 0.0

    for epoch in range(first, args.epochs + 1):
        for u, i, r in train:
            error = p[u] @ q[i] - r
            vp[u] = beta * vp[u] + error * q[i] + 0.02 * p[u]
            vq[i] = beta * vq[i] + error * p[u] + 0.02 * q[i]
            p[u] -= args.lr * vp[u]
            q[i] -= args.lr * vq[i]
        time.sleep(args.sleep)
        part = args.out / "model.part.npz"
        np.savez(part, p=p, q=q, vp=vp, vq=vq, epoch=epoch)
        part.replace(checkpoint)
        with open(args.out / "metrics.jsonl", "a") as log:
            row = {"epoch": epoch, "train_rmse": rmse(p, q, train), "val_rmse": rmse(p, q, valid)}
            log.write(json.dumps(row) + "\n")
        print(f"epoch {epoch}: train {row['train_rmse']:.4f} val {row['val_rmse']:.4f}")
    if args.test:
        with open(args.out / "metrics.jsonl", "a") as log:
            log.write(json.dumps({"test_rmse": rmse(p, q, test)}) + "\n")


if __name__ == "__main__":
    main()
