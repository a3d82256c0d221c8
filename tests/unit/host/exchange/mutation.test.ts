/** Descriptions with bytes changed, cut out, repeated and mixed: a machine within its limits, or an AppError. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concatBytes, utf8 } from '../../../../src-shared/base/bytes.ts'
import { newId } from '../../../../src-shared/base/ids.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { MACHINE_SCHEMA, parseMachineConfig } from '../../../../src-shared/model/machine.ts'
import {
  MAX_FOREIGN_DRIVES,
  MAX_FOREIGN_NAME,
  MAX_FOREIGN_NICS,
  type ForeignMachine,
} from '../../../../src-main/host/exchange/foreign-machine.ts'
import { draftMachine } from '../../../../src-main/host/exchange/import-machine.ts'
import { parseManifest } from '../../../../src-main/host/exchange/ovf/manifest.ts'
import { parseOvf } from '../../../../src-main/host/exchange/ovf/parse-ovf.ts'
import { plainName } from '../../../../src-main/host/exchange/text/file-reference.ts'
import { MAX_REMARKS } from '../../../../src-main/host/exchange/text/remarks.ts'
import { parseUtm } from '../../../../src-main/host/exchange/utm/parse-utm.ts'
import { parseVbox } from '../../../../src-main/host/exchange/virtualbox/parse-vbox.ts'
import { parseVmx } from '../../../../src-main/host/exchange/vmware/parse-vmx.ts'
import { fuzzRuns } from '../../../support/hostile-image.ts'
import { ESXI_8_VMX, UTM_4, VIRTUALBOX_7_VBOX, WORKSTATION_17_VMX } from './fixtures/folders.ts'
import { COLLECTION_2, ESXI_8, VIRTUALBOX_7, WORKSTATION_17 } from './fixtures/ovf.ts'

/** Pieces that mean something: a mutation of single bytes seldom finds them. */
const WORDS = [
  ...[
    '../',
    '/etc/passwd',
    'C:\\',
    '\0',
    '\ufeff',
    '&#0;',
    '&x;',
    '<![CDATA[',
    ']]>',
    '<!--',
    '-->',
    '<?',
    '|00',
    '|0A',
    '"',
    "'",
    '=',
    '\n',
    '%2e%2e%2f',
  ],
  ...[
    'ovf:/disk/',
    'ovf:/file/',
    '${x}',
    '999999999999999999999',
    '-1',
    '0',
    'NaN',
    '1e9',
    '__proto__',
    'constructor',
    'toString',
    'xmlns:a="b"',
    '<a>',
    '</a>',
  ],
].map(utf8)

interface Edit {
  at: number
  length: number
  put: Uint8Array
}
const edit: fc.Arbitrary<Edit> = fc.record({
  at: fc.nat(20_000),
  length: fc.oneof(fc.constant(0), fc.nat(4), fc.nat(400)),
  put: fc.oneof(fc.uint8Array({ maxLength: 3 }), fc.constantFrom(...WORDS)),
})

function mutate(bytes: Uint8Array, edits: readonly Edit[]): Uint8Array {
  return edits.reduce<Uint8Array>((now, { at, length, put }) => {
    const start = at % (now.length + 1)
    return concatBytes([now.subarray(0, start), put, now.subarray(Math.min(start + length, now.length))])
  }, bytes)
}

function checkMachine(machine: ForeignMachine): void {
  expect(machine.name.length).toBeLessThanOrEqual(MAX_FOREIGN_NAME)
  expect(machine.drives.length).toBeLessThanOrEqual(MAX_FOREIGN_DRIVES)
  expect(machine.nics.length).toBeLessThanOrEqual(MAX_FOREIGN_NICS)
  expect(machine.unknown.length).toBeLessThanOrEqual(MAX_REMARKS + 1)
  for (const sentence of machine.unknown) {
    expect(sentence).not.toMatch(/\p{Cc}/u)
    expect(sentence.length).toBeLessThan(400)
  }
  for (const { file, parents, capacity } of machine.drives) {
    for (const name of [...(file === null ? [] : [file]), ...parents]) expect(plainName(name)).toBe(name)
    expect(capacity === null || Number.isSafeInteger(capacity)).toBe(true)
  }
  const { config, drives } = draftMachine(machine, { macs: new Set(), hasNetwork: () => false })
  parseMachineConfig({
    ...config,
    ...{ schema: MACHINE_SCHEMA, id: newId(), created: new Date(0).toISOString() },
    drives: drives.map(({ id, kind, readOnly }) => ({ id, kind, readOnly, path: `disks/${id}.raw` })),
  })
}

const ovf = (bytes: Uint8Array): ForeignMachine[] => parseOvf(bytes, 'a.ovf').machines
const KINDS: [string, string, (bytes: Uint8Array) => ForeignMachine[]][] = [
  ['VirtualBox’s OVF', VIRTUALBOX_7, ovf],
  ['VMware’s OVF', WORKSTATION_17, ovf],
  ['ESXi’s OVF', ESXI_8, ovf],
  ['an OVF 2.0 collection', COLLECTION_2, ovf],
  ['Workstation’s .vmx', WORKSTATION_17_VMX, (bytes) => [parseVmx(bytes, 'a.vmx')]],
  ['ESXi’s .vmx', ESXI_8_VMX, (bytes) => [parseVmx(bytes, 'a.vmx')]],
  ['a .vbox', VIRTUALBOX_7_VBOX, (bytes) => [parseVbox(bytes, 'a.vbox')]],
  ['UTM’s config.plist', UTM_4, (bytes) => [parseUtm(bytes, 'a.utm')]],
]

const numRuns = fuzzRuns(150)

describe.each(KINDS)('%s, mutated', (_, text, parse) => {
  test('is a machine or an AppError', () => {
    const good = utf8(text)
    parse(good).forEach(checkMachine)
    let read = 0
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        let machines: ForeignMachine[]
        try {
          machines = parse(mutate(good, edits))
        } catch (error) {
          expect(error).toBeInstanceOf(AppError)
          expect((error as AppError).code).toMatch(/^(corrupt|unsupported)$/)
          return
        }
        read++
        machines.forEach(checkMachine)
      }),
      { numRuns },
    )
    // Some of them are still machines: else only the XML parser would have been tried.
    expect(read).toBeGreaterThan(0)
  })
})

/** Values of elements, attributes and settings changed where they stand: the structure stays whole, so that what reads it is reached. */
describe.each(KINDS)('%s with other values', (_, text, parse) => {
  test('is a machine or an AppError', () => {
    const places = [...text.matchAll(/(?<=")[^"<>\n]*(?=")|(?<=>)[^<>]+(?=<)/g)].map(
      (match) => [match.index, match.index + match[0].length] as const,
    )
    const words = fc.oneof(
      fc.constantFrom(
        '',
        '0',
        '3',
        '10',
        '17',
        '20',
        '4294967296',
        '99999999999999999999',
        '-1',
        'TRUE',
        '../../x',
        '/x',
        'a.vmdk',
        'ovf:/disk/vmdisk1',
        '${x}',
      ),
      fc.constantFrom(
        '__proto__',
        'constructor',
        'HardDisk',
        'DVD',
        'AHCI',
        'cdrom-image',
        'x'.repeat(5000),
        '|00|0A',
        'C:\\x',
        'http://x/y',
        '%2e%2e%2fx',
      ),
      fc.nat(places.length - 1).map((at) => text.slice(...places[at]!)),
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(places.length - 1), words), { minLength: 1, maxLength: 6 }), (changes) => {
        const byPlace = new Map(changes.map(([place, word]) => [place, word]))
        let changed = ''
        let last = 0
        places.forEach(([start, end], at) => {
          const word = byPlace.get(at)
          if (word === undefined) return
          changed += text.slice(last, start) + word
          last = end
        })
        try {
          parse(utf8(changed + text.slice(last))).forEach(checkMachine)
        } catch (error) {
          expect(error).toBeInstanceOf(AppError)
        }
      }),
      { numRuns },
    )
  })
})

test('a manifest, mutated', () => {
  const good = utf8(`SHA256(a.ovf)= ${'0'.repeat(64)}\nSHA1(my disk.vmdk)= ${'a'.repeat(40)}\n`)
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
      try {
        for (const { file } of parseManifest(mutate(good, edits), 'a.mf')) expect(plainName(file)).toBe(file)
      } catch (error) {
        expect(error).toBeInstanceOf(AppError)
      }
    }),
    { numRuns },
  )
})
