/** A disk that another machine's disk rests on is not written by starting the machine that has it, too. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { images } from '../../../src-shared/api/index.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { testHost } from './support/test-host.ts'

test('it is refused in a sentence, and not where the disk is read-only, or nobody rests on it any more', async () => {
  const host = await testHost()
  const folder = await tempFolder()
  const [base, over] = [join(folder, 'base.qcow2'), join(folder, 'over.qcow2')]
  const service = host.rpc.service(images)
  await service.create({ path: base, format: 'qcow2', size: MiB })
  await service.create({ path: over, format: 'qcow2', size: null, backing: { path: base } })
  const [writer, rests] = [await host.make('writer'), await host.make('rests')]
  const disk = (path: string, readOnly = false) => [{ id: 'disk0', kind: 'disk' as const, format: 'qcow2' as const, path, readOnly }]
  await host.machines.update({ id: writer, patch: { drives: disk(base) } })
  await host.machines.update({ id: rests, patch: { drives: disk(over) } })
  const before = await readFile(base)
  await expect(host.machines.start({ id: writer })).rejects.toMatchObject({
    code: 'wrong-state',
    message: `“writer” would write its disk “disk0” (“${base}”), on which a disk of “rests” rests, which would be lost. Make the disk read-only, or give “writer” a copy of it.`,
  })
  expect((await readFile(base)).equals(before)).toBe(true)
  // The one above writes nothing but its own.
  await host.machines.start({ id: rests })
  await host.machines.powerOff({ id: rests })
  await host.machines.update({ id: writer, patch: { drives: disk(base, true) } })
  await host.machines.start({ id: writer })
  await host.machines.powerOff({ id: writer })
  await host.machines.update({ id: rests, patch: { drives: [] } })
  await host.machines.update({ id: writer, patch: { drives: disk(base) } })
  await host.machines.start({ id: writer })
})
