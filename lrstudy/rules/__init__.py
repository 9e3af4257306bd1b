"""Facts and rules that several sides of lrstudy share: standard library and numpy only."""
