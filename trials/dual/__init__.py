"""What DARec and MixRec share: a frozen language model whose layers have two attention branches and a gate.

The two papers tell one model twice. DARec's relation adapters are MixRec's experts, its router is the gate, its DALayer
the DAMoE layer; sections 2.1 to 2.4 and Appendices A to D carry the same numbers and equations in both. Code here cites
them by section, and DARec's words are used throughout. A method adds its name, variants, metrics and published figures.

Read in this order: `config.py` (every setting), `composition.py` (what a variant is made of), `inputs.py` (item
sentences to packed tokens), `layer.py` (the DALayer), `model.py` (losses and scores), `projection.py` (states to
items), `hard_items.py` (Appendix A). Items that are read once, ahead of all trials, are in
`trials/backbones/decoders/item_states.py`; what was tried with the options: `docs/learning.md`.
Importing this package loads no torch.
"""
