"""Ray on whatever machines there are: connecting to it, who may, which hosts are fit, whose part is how large."""
