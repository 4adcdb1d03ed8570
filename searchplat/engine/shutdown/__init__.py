"""How a command ends before its work does: by a signal, an error of the moment, or a Ray that has gone."""
