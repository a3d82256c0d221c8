/** Mutated real traffic against the whole NAT: nothing is thrown, nothing stays, nothing grows beyond its bounds. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { foldSum, sumWords } from '../../../../src-main/network/codec/checksum.ts'
import { parseIp, PROTOCOL } from '../../../../src-main/network/codec/ip.ts'
import { UserNat } from '../../../../src-main/network/nat/user-nat.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { GuestHost } from '../../../support/guest-tcp.ts'
import { GuestWire, GUEST_MAC } from '../../../support/guest-wire.ts'
import { fuzzRuns, fuzzSeed } from '../../../support/hostile-image.ts'
import { withLeakCheck } from '../../../support/leak-check.ts'
import { GATEWAY, GUEST, GUEST6, OPTIONS } from '../../../support/nat-network.ts'
import { seeded } from '../../../support/seeded.ts'

withLeakCheck()

it('mutated traffic', async () => {
  const random = seeded(fuzzSeed(11))
  const runs = fuzzRuns(300) * 20
  const server = createServer({ allowHalfOpen: true }, (socket) => socket.on('error', () => {}).pipe(socket))
  server.listen(0, '127.0.0.1')
  const udp = createSocket('udp4').on('message', (bytes, { port, address }) => udp.send(bytes, port, address))
  udp.bind(0, '127.0.0.1')
  await Promise.all([once(server, 'listening'), once(udp, 'listening')])
  const { port } = server.address() as AddressInfo

  const clock = new FakeClock()
  const wire = new GuestWire(1500)
  const nat = new UserNat(wire, clock, { ...OPTIONS, subnets: [...OPTIONS.subnets] })
  const guest = new GuestHost(wire, GUEST, GUEST6)
  // Real traffic goes through, is kept, and comes again changed.
  const seen: Uint8Array[] = []
  wire.toNat = (packet) => {
    if (seen.length < 4000) seen.push(packet.whole.slice())
    nat.receive(packet)
  }
  const connections = Array.from({ length: 8 }, () => {
    const connection = guest.connect(GATEWAY, port)
    connection.sendBytes(Buffer.alloc(20_000, 1))
    return connection
  })
  await expect.poll(() => connections.every(({ received }) => received === 20_000), { timeout: 20_000 }).toBe(true)
  expect(seen.length).toBeGreaterThan(100)

  const before = process.memoryUsage().arrayBuffers
  for (let run = 0; run < runs; run++) {
    const packet = seen[random(seen.length)]!.slice(0, random(10) === 0 ? random(80) : undefined)
    for (let flips = random(6); flips > 0 && packet.length > 0; flips--) packet[20 + random(Math.min(packet.length, 60))] = random(256)
    if (random(8) === 0) packet[9] = [PROTOCOL.tcp, PROTOCOL.udp, PROTOCOL.tcp, 99][random(4)]!
    mend(packet)
    const parsed = parseIp(packet)
    // Only to where nothing real is harmed.
    if (parsed && parsed.destination.join() === GATEWAY.join() && parsed.protocol !== PROTOCOL.icmp)
      nat.receive({ ...parsed, sourceMac: GUEST_MAC + random(3) })
    if (run % 50 === 0) {
      clock.advance(random(400))
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  expect(nat.flows.tcp).toBeLessThanOrEqual(3 * 2048)
  expect(nat.flows.udp).toBeLessThanOrEqual(3 * 512)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(200 * 1024 * 1024)

  // What is still there works, or was ended; a new one works.
  const after = guest.connect(GATEWAY, port)
  let got = ''
  after.onData = (bytes) => (got += Buffer.from(bytes).toString())
  after.sendBytes(Buffer.from('still here'))
  await expect.poll(() => got, { timeout: 20_000 }).toBe('still here')

  // The machine falls silent: a day later nothing is left.
  guest.dispose()
  wire.toNat = () => {}
  wire.onPacket = () => {}
  for (let hours = 0; hours < 24 * 60 && nat.flows.tcp + nat.flows.udp > 0; hours++) {
    clock.advance(60_000)
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(nat.flows).toEqual({ tcp: 0, udp: 0 })
  nat.dispose()
  wire.dispose()
  udp.close()
  server.close()
})

/** Right checksums, so that what is behind them is reached. */
function mend(packet: Uint8Array): void {
  if (packet.length < 40) return
  packet[0] = 0x45
  packet[2] = packet.length >> 8
  packet[3] = packet.length
  packet[6] = packet[7] = packet[10] = packet[11] = 0
  const sum = foldSum(sumWords(packet, 0, 20))
  packet[10] = sum >> 8
  packet[11] = sum
  const ip = parseIp(packet)
  if (!ip || ip.protocol !== PROTOCOL.tcp) return
  const header = Math.min(Math.max(20, (packet[32]! >> 4) * 4), packet.length - 20)
  packet[32] = (header >> 2) << 4
  packet[36] = packet[37] = 0
  const length = packet.length - 20
  const whole = foldSum(sumWords(packet, 20, packet.length, sumWords(packet, 12, 20) + PROTOCOL.tcp + length))
  packet[36] = whole >> 8
  packet[37] = whole
}
