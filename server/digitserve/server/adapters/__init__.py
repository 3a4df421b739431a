"""Other people's protocols on the same port, so that their clients work unchanged.

    their message ─▶ adapter ─▶ images, a version ─▶ Predicting ─▶ a turn ─▶ adapter ─▶ theirs

An adapter translates and decides nothing: who may, how much, when and by which version is found out
where it is for `Predict`.
"""
