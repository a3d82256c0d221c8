import { describe, expect, test } from 'vitest'
import { checkQcow2 } from '../../../../../src-main/storage/formats/qcow2/check/check.ts'
import { zstdFrameLength } from '../../../../../src-main/storage/formats/qcow2/zstd-frame.ts'
import { fuzzRuns, fuzzSeed } from '../../../../support/hostile-image.ts'
import { fuzzOpen, fuzzRepair } from '../../../../support/qcow2-fuzz.ts'
import { newQcow2, openOver, patchHeader } from '../../../../support/qcow2-images.ts'
import { noise, seeded } from '../../../../support/seeded.ts'
import { readBytes } from '../../../../support/read-bytes.ts'

describe('hostile qcow2', () => {
  test.each([
    [512, 3],
    [1024, 2],
  ] as const)('mutated images of %d bytes a cluster, version %d', { timeout: 60_000 }, (clusterSize, version) =>
    fuzzOpen(600, clusterSize, version),
  )

  test('mutated images are checked and repaired, or refused', { timeout: 60_000 }, () => fuzzRepair(fuzzRuns(300), fuzzSeed(11)))

  test('what is said to be repairable can be looked through, and is found', { timeout: 60_000 }, async () => {
    const random = seeded(fuzzSeed(12))
    const said = new Set<boolean>()
    for (let run = 0; run < fuzzRuns(600); run++) {
      const image = await newQcow2({ size: 256 * 1024, clusterSize: 512, ...(run % 3 === 0 ? { version: 2 as const } : {}) })
      const made = await openOver(image)
      for (let write = 0; write < 4; write++) await made.write(random(200 * 1024), noise(random, 3000))
      await made.close()
      const bytes = image.bytes()
      for (let change = 0; change < 3; change++) bytes[random(random(2) === 0 ? 112 : 8192)] = random(256)
      const failure = await (async () => {
        const device = await openOver(image)
        await readBytes(device, 0, device.info.size).finally(() => device.close())
      })().then(
        () => null,
        (error: unknown) => error as Error,
      )
      if (!failure?.message.includes('is damaged')) continue
      const repairable = failure.message.includes('Check and repair it')
      said.add(repairable)
      const check = await checkQcow2(image, { repair: false }).catch((error: Error) => error.message)
      if (repairable)
        expect(check, failure.message).toMatchObject({ corruptions: expect.toSatisfy((count: number) => count > 0) as number })
      else if (typeof check === 'string') expect(check).not.toContain('Check and repair')
    }
    expect([...said].sort()).toEqual([false, true])
  })

  test('tables that overlap are not written', async () => {
    const file = await newQcow2({ size: 1024 * 1024, clusterSize: 4096 })
    patchHeader(file, (head) => head.setBigUint64(40, 2n * 4096n)) // the L1 table where a refcount block lies
    await expect(openOver(file)).rejects.toMatchObject({ code: 'corrupt' })
  })

  test('the guest cannot write the image’s own tables', async () => {
    const file = await newQcow2({ size: 64 * 4096, clusterSize: 4096 })
    const made = await openOver(file)
    await made.write(0, new Uint8Array(4096).fill(1))
    await made.close()
    const tables = new DataView(file.bytes().buffer)
    const l1 = Number(tables.getBigUint64(40))
    const l2 = Number(tables.getBigUint64(l1) & 0x00fffffffffffe00n)
    for (const target of [0, 4096, 2 * 4096, l1, l2]) {
      tables.setBigUint64(l2, BigInt(target) | (1n << 63n))
      const image = await openOver(file)
      await (target === 0
        ? image.write(0, new Uint8Array(10))
        : expect(image.write(0, new Uint8Array(10))).rejects.toMatchObject({ code: 'corrupt' }))
      await image.close()
    }
  })

  test('counts that lie do not give away what is in use', async () => {
    const file = await newQcow2({ size: 64 * 4096, clusterSize: 4096 })
    const made = await openOver(file)
    await made.write(0, new Uint8Array(4096).fill(1))
    await made.close()
    await file.write(2 * 4096, new Uint8Array(4096)) // no cluster is counted
    const image = await openOver(file)
    await expect(image.write(40_000, new Uint8Array(10))).rejects.toMatchObject({ code: 'corrupt' })
    expect((await readBytes(image, 0, 1))[0]).toBe(1)
    await image.close()
    const { corruptions, repairedCorruptions } = await checkQcow2(file, { repair: true })
    expect(repairedCorruptions).toBe(corruptions)
    const repaired = await openOver(file)
    await repaired.write(40_000, new Uint8Array(10).fill(2))
    expect((await readBytes(repaired, 0, 1))[0]).toBe(1)
    expect((await readBytes(repaired, 40_000, 1))[0]).toBe(2)
    await repaired.close()
  })

  test('frames of Zstandard are measured, cut ones are none', () => {
    // One raw block of three bytes, then one run of four; magic, descriptor with a single segment.
    const frame = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 7, (3 << 3) | 0, 0, 0, 1, 2, 3, (4 << 3) | 2 | 1, 0, 0, 9]
    expect(zstdFrameLength(new Uint8Array([...frame, 0, 0, 0]))).toBe(frame.length)
    for (let length = 0; length < frame.length; length++) expect(zstdFrameLength(new Uint8Array(frame.slice(0, length)))).toBeNull()
    expect(zstdFrameLength(new Uint8Array(20))).toBeNull()
  })
})
