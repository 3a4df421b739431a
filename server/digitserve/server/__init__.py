"""Holds digit models and answers for them over gRPC.

bytes ─▶ transport ─▶ services ─▶ codec ─▶ turns ─▶ engine ─▶ codec ─▶ transport ─▶ bytes
         gRPC          who may,    784 B    one     compiled   answer
                       which       checked  after   network
                       version              another
"""
