/** The networks' document on disk: what it cannot hold is refused in a sentence. What becomes of broken ones is tried in networks.test.ts. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeDefault } from '../../../src-main/host/networks/network-edits.ts'
import { NetworksFile } from '../../../src-main/host/networks/networks-file.ts'
import { MAX_PORTS, NO_IMPAIRMENT } from '../../../src-shared/model/network.ts'
import { memoryLog } from '../../support/memory-log.ts'
import { tempFolder } from '../../support/temp-folder.ts'

test('a document that is too large is refused in a sentence, and stays as it was', async () => {
  const path = join(await tempFolder(), 'networks.json')
  const open = (): Promise<NetworksFile> => NetworksFile.open(path, (others) => makeDefault(others, []), memoryLog())
  const file = await open()
  const ports = Array.from({ length: MAX_PORTS + 1 }, () => ({
    machine: crypto.randomUUID(),
    nic: 'nic0',
    impairment: NO_IMPAIRMENT,
    cut: true,
  }))
  await expect(file.change((now) => ({ ...now, ports }))).rejects.toMatchObject({
    code: 'invalid-input',
    details: { fields: [{ path: 'ports', message: `At most ${MAX_PORTS} network cards have links that are cut or impaired.` }] },
  })
  expect(file.current.ports).toEqual([])
  await file.change((now) => ({ ...now, ports: ports.slice(1) }))
  expect((await open()).current.ports).toHaveLength(MAX_PORTS)
})
