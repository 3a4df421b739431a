"""A camera's pictures -> the digits on them: where each is, and as 28x28 for the model.

    open_source ─▶ Picture ─▶ find_digits ─▶ FoundDigit ─▶ (a prediction each) ─▶ Vote ─▶ annotate
     webcam, URL,              ink ─▶ pieces ─▶ crop         by the client        steady   video
     video, folder

Each part is a module of its own, imported by its name, so that none pays for what it does not use:
`vote` and `boxes` are plain Python; the others need OpenCV and NumPy, the extra `camera`.
`synthetic` is a camera without hardware, whose truth is known, and `score` compares with it.
"""
