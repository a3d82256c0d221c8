/** Screens through the host, from a real thread. */
import { expect, test } from 'vitest'
import { concatBytes } from '../../../src-shared/base/bytes.ts'
import { decodePng } from '../../support/png.ts'
import { RfbClient } from '../../support/rfb-client.ts'
import { testHost } from './support/test-host.ts'

const RED = new Uint32Array(6).fill(0xff0000ff)

test('viewers see it until the machine goes off, each until it leaves', async () => {
  const host = await testHost()
  const id = await host.make('a')
  await host.machines.start({ id })
  const streams = [(await host.machines.display({ id })).stream, (await host.machines.display({ id })).stream]
  const viewers = await Promise.all(streams.map((stream) => RfbClient.open(stream)))
  for (const viewer of viewers) {
    await viewer.update(false)
    expect(viewer).toMatchObject({ width: 3, height: 2, name: 'a', pixels: RED })
  }
  viewers[0]!.close()
  await viewers[1]!.update(false)
  await host.machines.powerOff({ id })
  expect(await viewers[1]!.update(false).catch((error: Error) => error.message)).toMatch(/closed/)
})

test('its picture is a PNG file; of a machine that is off or has no screen there is none', async () => {
  const host = await testHost()
  const id = await host.make('a')
  await expect(host.machines.screenshot({ id })).rejects.toMatchObject({
    code: 'wrong-state',
    message: '“a” is not running: its screen is dark. Start it first.',
  })
  await expect(host.machines.display({ id })).rejects.toMatchObject({ code: 'wrong-state' })
  await host.machines.start({ id })
  const { opening, stream } = await host.machines.screenshot({ id })
  const parts: Uint8Array[] = []
  for await (const bytes of stream) parts.push(bytes)
  const png = concatBytes(parts)
  expect(png.length).toBe(opening.bytes)
  expect(decodePng(png)).toEqual({ width: 3, height: 2, pixels: RED })
  const dark = await host.make('b', 'dark')
  await host.machines.start({ id: dark })
  await expect(host.machines.screenshot({ id: dark })).rejects.toMatchObject({ code: 'unsupported' })
  await expect(host.machines.display({ id: dark })).rejects.toMatchObject({ code: 'unsupported' })
})
