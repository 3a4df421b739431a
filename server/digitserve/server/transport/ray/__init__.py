"""Ray Serve in front: Ray takes the calls in, and what answers them is this server without doors.

    HAProxy ─▶ Ray's gRPC server in the replica ─▶ methods ─▶ ingress ─▶ core's services
                 `servicers` tells it the names      tag        call, drain

Only `application` and `stopping` import Ray.
"""
