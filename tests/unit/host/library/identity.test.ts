import { describe, expect, test } from 'vitest'
import { identify, type Bundle } from '../../../../src-main/host/library/identity.ts'
import type { BundleContent } from '../../../../src-main/host/library/read-bundle.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { parseMachineConfig } from '../../../../src-shared/model/machine.ts'

const ID = '0b8f3c2a-6a2f-4a7e-9a51-1f6a3f0f6c11'
const NONE = new Map<string, never>()

function bundle(folder: string, name: string, change: Partial<BundleContent> = {}): BundleContent {
  const config = parseMachineConfig({ schema: 1, id: ID, created: '2026-11-21T00:00:00Z', name, boot: { kind: 'firmware' } })
  return { folder, inLibrary: true, config, problem: null, suspended: null, ...change }
}
const broken = (folder: string): BundleContent => bundle(folder, 'x', { config: null, problem: new AppError('corrupt', 'No JSON.') })
const byFolder = (bundles: Bundle[]) => new Map(bundles.map((each) => [each.folder, each]))
const problem = (folder: string, bundles: Bundle[]) => bundles.find((each) => each.folder === folder)?.problem?.code

describe('two bundles with one identity', () => {
  test('the one whose folder bears its name is the original, the copy is shown with a problem', () => {
    const [copy, original] = identify([bundle('/l/a copy.coppice', 'a'), bundle('/l/a.coppice', 'a')], NONE, NONE)
    expect(original).toMatchObject({ id: ID, name: 'a', problem: null })
    expect(copy).toMatchObject({ name: 'a copy', config: null, copy: { id: ID } })
    expect(copy!.id).not.toBe(ID)
    expect(copy!.problem!.message).toContain('“a” (/l/a.coppice)')
  })

  test('who was there first keeps the identity, whatever the names say', () => {
    const both = [bundle('/l/a.coppice', 'a'), bundle('/l/b.coppice', 'a')]
    const result = identify(both, new Map([[ID, '/l/b.coppice']]), NONE)
    expect(problem('/l/a.coppice', result)).toBe('already-exists')
    expect(problem('/l/b.coppice', result)).toBeUndefined()
  })

  test('one in the library goes before one elsewhere; equal ones are told apart by their path, always the same way', () => {
    const elsewhere = bundle('/a/a.coppice', 'a', { inLibrary: false })
    expect(problem('/a/a.coppice', identify([elsewhere, bundle('/l/b.coppice', 'a')], NONE, NONE))).toBe('already-exists')
    const two = [bundle('/l/c.coppice', 'a'), bundle('/l/b.coppice', 'a')]
    expect(problem('/l/c.coppice', identify(two, NONE, NONE))).toBe('already-exists')
    expect(problem('/l/c.coppice', identify(two.reverse(), NONE, NONE))).toBe('already-exists')
  })

  test('when the original is gone, the copy is the machine', () => {
    const [only] = identify([bundle('/l/b.coppice', 'a')], new Map([[ID, '/l/a.coppice']]), NONE)
    expect(only).toMatchObject({ id: ID, problem: null })
  })
})

test('a bundle that cannot be read has an id of its path, and keeps the one it had', () => {
  const [unread] = identify([broken('/l/a.coppice')], NONE, NONE)
  expect(unread).toMatchObject({ id: expect.stringMatching(/^path-[0-9a-f]{24}$/) as string, name: 'a' })
  const before = identify([bundle('/l/a.coppice', 'Name')], NONE, NONE)
  expect(identify([broken('/l/a.coppice')], NONE, byFolder(before))[0]).toMatchObject({ id: ID, name: 'Name', config: null })
})

test('unchanged bundles are the same objects, so that nobody is told of them', () => {
  const contents = [bundle('/l/a.coppice', 'a'), broken('/l/b.coppice')]
  const first = identify(contents, NONE, NONE)
  const second = identify(contents, NONE, byFolder(first))
  expect(second[0]).toBe(first[0])
  expect(second[1]).toBe(first[1])
})
