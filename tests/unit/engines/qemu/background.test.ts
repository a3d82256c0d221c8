import { expect, test } from 'vitest'
import { canSaveInBackground } from '../../../../src-main/engines/qemu/saved-memory.ts'

type Capabilities = { capabilities: { capability: string; state: boolean }[] }

/** A QEMU that takes this capability, or refuses it as one does whose system has no write protection for userfaultfd. */
function qmp(able: boolean): { instance: Parameters<typeof canSaveInBackground>[0]; set: boolean[] } {
  const set: boolean[] = []
  const execute = async (command: string, { capabilities: [one] }: Capabilities): Promise<void> => {
    expect([command, one!.capability]).toEqual(['migrate-set-capabilities', 'background-snapshot'])
    if (one!.state && !able) throw new Error('Background-snapshot is not supported by host kernel')
    set.push(one!.state)
  }
  return { instance: { qmp: { execute } } as unknown as Parameters<typeof canSaveInBackground>[0], set }
}

test('memory is passed on in the background where QEMU can, and nothing is left switched on by asking', async () => {
  const { instance, set } = qmp(true)
  expect(await canSaveInBackground(instance)).toBe(true)
  expect(set).toEqual([true, false])
})

test('where it cannot, the machine stands still for it', async () => {
  const { instance, set } = qmp(false)
  expect(await canSaveInBackground(instance)).toBe(false)
  expect(set).toEqual([])
})
