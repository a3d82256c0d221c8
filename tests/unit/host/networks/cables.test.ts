import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Cables, placeOf, type CableSession } from '../../../../src-main/host/networks/cables.ts'
import { networkSchema } from '../../../../src-shared/model/network.ts'

const NIC = 'nic0'
const LONG = 60_000

/** What it was told, in order: whether the cable is out. */
function machine({ resumed = false, kind = 'embedded' }: Partial<CableSession> = {}): CableSession & { told: boolean[] } {
  const told: boolean[] = []
  return {
    ...{ kind, resumed, told },
    cutLink: (_, cut) => {
      told.push(cut)
      return Promise.resolve()
    },
  }
}

describe('cables', () => {
  let cables: Cables
  beforeEach(() => {
    vi.useFakeTimers()
    cables = new Cables()
  })
  afterEach(() => {
    cables.dispose()
    expect(vi.getTimerCount()).toBe(0)
    vi.useRealTimers()
  })

  test('of a machine that starts, and of a place that stays the same, are left alone', async () => {
    const session = machine()
    await cables.hold(session, NIC, { cut: false, place: 'a', runs: true, isVirtio: true })
    await cables.hold(session, NIC, { cut: false, place: 'a', runs: true, isVirtio: true })
    await vi.advanceTimersByTimeAsync(LONG)
    expect(session.told).toEqual([])
  })

  test('are pulled for a moment where a card is moved', async () => {
    const session = machine()
    await cables.hold(session, NIC, { cut: false, place: 'a', runs: true, isVirtio: true })
    await cables.hold(session, NIC, { cut: false, place: 'b', runs: true, isVirtio: true })
    expect(session.told).toEqual([true])
    // Moved on meanwhile: it is out already.
    await cables.hold(session, NIC, { cut: false, place: 'c', runs: true, isVirtio: true })
    await vi.advanceTimersByTimeAsync(LONG)
    expect(session.told).toEqual([true, false])
  })

  test('are out for longer where a driver looks at them now and then', async () => {
    for (const [isVirtio, after] of [
      [true, false],
      [false, true],
    ] as const) {
      const session = machine()
      await cables.hold(session, NIC, { cut: false, place: 'a', runs: true, isVirtio })
      await cables.hold(session, NIC, { cut: false, place: 'b', runs: true, isVirtio })
      await vi.advanceTimersByTimeAsync(2500)
      expect(session.told.at(-1)).toBe(after)
      await vi.advanceTimersByTimeAsync(LONG)
      expect(session.told).toEqual([true, false])
    }
  })

  test('are pulled for a moment where a machine was suspended, once', async () => {
    const session = machine({ resumed: true, kind: 'qemu' })
    await cables.hold(session, NIC, { cut: false, place: 'a', runs: true, isVirtio: true })
    await cables.hold(session, NIC, { cut: false, place: 'a', runs: true, isVirtio: true })
    await vi.advanceTimersByTimeAsync(LONG)
    await cables.hold(session, NIC, { cut: false, place: 'a', runs: true, isVirtio: true })
    expect(session.told).toEqual([true, false])
  })

  test('of a machine that is paused stay out until it runs', async () => {
    const session = machine()
    await cables.hold(session, NIC, { cut: false, place: 'a', runs: true, isVirtio: true })
    await cables.hold(session, NIC, { cut: false, place: 'b', runs: false, isVirtio: true })
    await vi.advanceTimersByTimeAsync(LONG)
    expect(session.told).toEqual([true])
    await cables.hold(session, NIC, { cut: false, place: 'b', runs: true, isVirtio: true })
    expect(session.told).toEqual([true])
    await vi.advanceTimersByTimeAsync(LONG)
    expect(session.told).toEqual([true, false])
  })

  test('that are cut stay out, and come back when nobody cuts them any more', async () => {
    const session = machine()
    await cables.hold(session, NIC, { cut: false, place: 'a', runs: true, isVirtio: true })
    await cables.hold(session, NIC, { cut: true, place: 'b', runs: true, isVirtio: true })
    await vi.advanceTimersByTimeAsync(LONG)
    expect(session.told).toEqual([true])
    await cables.hold(session, NIC, { cut: false, place: 'b', runs: true, isVirtio: true })
    expect(session.told).toEqual([true, false])
  })

  test('of a machine that was taken over are told, as nobody knows what an earlier host said', async () => {
    const session = machine({ kind: 'qemu' })
    await cables.hold(session, NIC, { cut: false, runs: true, isVirtio: true })
    await cables.hold(session, NIC, { cut: false, runs: true, isVirtio: true })
    expect(session.told).toEqual([false])
  })

  test('are not pulled where a card was out of all networks: its guest saw that', async () => {
    const session = machine()
    await cables.hold(session, NIC, { cut: false, place: 'a', runs: true, isVirtio: true })
    cables.left(session, NIC)
    await cables.hold(session, NIC, { cut: false, place: 'b', runs: true, isVirtio: true })
    expect(session.told).toEqual([])
  })

  test('are told again where the engine did not take it', async () => {
    const session = machine()
    const failing = { ...session, cutLink: vi.fn(() => Promise.reject(new Error('gone'))) }
    await expect(cables.hold(failing, NIC, { cut: true, place: 'a', runs: true, isVirtio: true })).rejects.toThrow('gone')
    await expect(cables.hold(failing, NIC, { cut: true, place: 'a', runs: true, isVirtio: true })).rejects.toThrow('gone')
    expect(failing.cutLink).toHaveBeenCalledTimes(2)
  })

  test('places differ by what guests learn of a network', () => {
    const lab = networkSchema.parse({ name: 'lab', ipv4: '10.0.3.0/24' })
    const { hostAccess: _, ...rest } = lab
    expect(placeOf({ ...rest, hostAccess: true })).toBe(placeOf(lab))
    for (const change of [{ name: 'other' }, { ipv4: '10.0.4.0/24' }, { ipv6: 'fd00::/64' }, { mtu: 9000 }])
      expect(placeOf({ ...lab, ...change })).not.toBe(placeOf(lab))
  })
})
