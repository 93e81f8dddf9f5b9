"""The Protobuf form of the wire: its schema, what `make proto` made of it, and the way to JSON and back.

Inside the gateway a frame is a struct and an event JSON; Protobuf is translated where it comes and goes.
"""
