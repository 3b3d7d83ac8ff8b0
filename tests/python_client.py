#!/usr/bin/env python3
"""A client that nobody here wrote the library of: Debian's python3-websockets, JSON subprotocol.

usage: python_client.py URL OPERATOR_TOKEN_FILE

Registers two buyers, opens an auction, subscribes, bids, is outbid, loses its socket, resumes by {epoch, seq}
and sees what it missed, without a gap and without a repeat. Prints one JSON line; exit code 0 when all held.
"""
import asyncio
import json
import sys
import urllib.request
import uuid

import websockets


def post(url, path, token, body):
    request = urllib.request.Request(
        url + path,
        data=json.dumps(body).encode(),
        headers={
            "Content-Type": "application/json",
            "Idempotency-Key": str(uuid.uuid4()),
            **({"Authorization": "Bearer " + token} if token else {}),
        },
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        assert response.status == 201, response.status
        return json.loads(response.read())


class Session:
    """One socket: frames arrive in order; `take` waits for the next one of a type and keeps what came before."""

    def __init__(self, socket):
        self.socket = socket
        self.seen = []

    async def send(self, frame):
        await self.socket.send(json.dumps(frame))

    async def take(self, kind, **wanted):
        while True:
            for at, frame in enumerate(self.seen):
                if frame["type"] == kind and all(frame.get(key) == value for key, value in wanted.items()):
                    return self.seen.pop(at)
            text = await asyncio.wait_for(self.socket.recv(), 30)
            assert isinstance(text, str), "the JSON subprotocol sends text frames"
            self.seen.append(json.loads(text))


async def connect(url, token):
    socket = await websockets.connect(
        url.replace("http", "ws", 1) + "/ws",
        subprotocols=["martillo.v1.json"],
        extra_headers={"Authorization": "Bearer " + token},
        max_size=2**20,
    )
    assert socket.subprotocol == "martillo.v1.json", socket.subprotocol
    session = Session(socket)
    hello = await session.take("hello")
    assert hello["version"] and hello["sessionId"] and hello["heartbeatMs"] > 0, hello
    return session


async def run(url, operator):
    ada = post(url, "/buyers", None, {"name": "Ada", "interests": ["clocks"]})
    bob = post(url, "/buyers", None, {"name": "Bob", "interests": []})
    auction = post(
        url,
        "/auctions",
        operator,
        {"title": "A ship's clock", "tags": ["clocks"], "openingBid": 1000, "durationMs": 600000},
    )
    auction_id = auction["id"]

    first = await connect(url, ada["token"])
    await first.send({"type": "subscribe", "id": 1, "auctionId": auction_id})
    subscribed = await first.take("subscribed", replyTo=1)
    assert subscribed["auction"]["status"] == "open", subscribed
    await first.send(
        {"type": "place_bid", "id": "b1", "auctionId": auction_id, "amount": 1500, "requestId": "ada-1"}
    )
    accepted = await first.take("bid_accepted", replyTo="b1")
    assert accepted["price"] == 1000 and accepted["you"] == {"status": "winning", "maxBid": 1500}, accepted
    placed = await first.take("bid_placed")
    assert placed["seq"] == accepted["seq"] and placed["serverTime"] > 0, placed

    other = await connect(url, bob["token"])
    await other.send(
        {"type": "place_bid", "id": "b2", "auctionId": auction_id, "amount": 900, "requestId": "bob-0"}
    )
    refused = await other.take("bid_rejected", replyTo="b2")
    assert refused["code"] == "bid_too_low" and refused["askingBid"] == accepted["askingBid"], refused
    await other.send(
        {"type": "place_bid", "id": "b3", "auctionId": auction_id, "amount": 3000, "requestId": "bob-1"}
    )
    winning = await other.take("bid_accepted", replyTo="b3")
    outbid = await first.take("outbid")
    assert outbid["auctionId"] == auction_id, outbid
    second = await first.take("bid_placed")
    assert second["seq"] == placed["seq"] + 1 == winning["seq"], second

    await first.socket.close()
    await other.send(
        {"type": "place_bid", "id": "b4", "auctionId": auction_id, "amount": 4000, "requestId": "bob-2"}
    )
    raised = await other.take("bid_accepted", replyTo="b4")

    again = await connect(url, ada["token"])
    await again.send(
        {
            "type": "subscribe",
            "id": 2,
            "auctionId": auction_id,
            "since": {"epoch": second["epoch"], "seq": second["seq"]},
        }
    )
    resumed = await again.take("resumed", replyTo=2)
    missed = await again.take("bid_placed")
    assert resumed["seq"] == second["seq"] and missed["seq"] == resumed["seq"] + 1 == raised["seq"], (missed, resumed)

    # A retry of a bid that was answered before gives the first answer, and counts once.
    await again.send(
        {"type": "place_bid", "id": "b5", "auctionId": auction_id, "amount": 1500, "requestId": "ada-1"}
    )
    repeated = await again.take("bid_accepted", replyTo="b5")
    assert repeated["seq"] == accepted["seq"] and repeated["price"] == accepted["price"], repeated

    with urllib.request.urlopen(url + "/auctions/" + auction_id + "/bids", timeout=30) as response:
        history = json.loads(response.read())["bids"]
    assert [bid["seq"] for bid in history] == [placed["seq"], second["seq"], missed["seq"]], history
    await again.socket.close()
    await other.socket.close()
    return {"ok": True, "library": "websockets " + websockets.__version__, "bids": len(history), "resumedAt": missed["seq"]}


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[2], encoding="utf-8") as file:
        operator = file.read().strip()
    print(json.dumps(asyncio.run(run(sys.argv[1], operator))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
