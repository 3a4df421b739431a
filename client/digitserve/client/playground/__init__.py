"""The playground: a page on which a stroke turns into probabilities while it is being drawn.

    browser ──WebSocket──▶ bridge ──StreamPredict, LATEST──▶ server
       ▲      grey pixels    │ centres as MNIST, or finds digits
       └──────── JSON ───────┘

A client like any other, for one machine: it listens on loopback unless it is told otherwise, and
its page asks nobody else.  `wire` is what browser and bridge say to each other, `bridge` one
browser's way to the server, `watch` what all of them are told of it, `upload` files of images,
`guarding` who may ask and what a page may do, `app` what is where, `serve` the process.

Needs the extra `playground`; the camera view needs the extra `camera` as well.
"""
