import { expect, test } from 'vitest'
import { joinWires } from '../../../../src-main/app/electron/remote-host.ts'
import { memoryWirePair } from '../../../../src-shared/rpc/wires/memory-wire.ts'
import type { WireMessage } from '../../../../src-shared/rpc/wire.ts'

test('joined wires pass everything on, both ways and in order, and end together', async () => {
  const [window, windowEnd] = memoryWirePair()
  const [hostEnd, host] = memoryWirePair()
  joinWires(windowEnd, hostEnd)
  const atHost: WireMessage[] = []
  const atWindow: WireMessage[] = []
  host.onMessage((message) => atHost.push(message))
  window.onMessage((message) => atWindow.push(message))
  for (let id = 0; id < 3; id++) window.post({ t: 'data', id, data: new Uint8Array([id]) })
  host.post({ t: 'end', id: 9 })
  await expect.poll(() => atHost.length + atWindow.length).toBe(4)
  expect(atHost).toEqual([0, 1, 2].map((id) => ({ t: 'data', id, data: new Uint8Array([id]) })))
  expect(atWindow).toEqual([{ t: 'end', id: 9 }])

  const ends: string[] = []
  window.onClose(() => ends.push('window'))
  host.onClose(() => ends.push('host'))
  host.close()
  await expect.poll(() => ends.sort()).toEqual(['host', 'window'])
})
