import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ASK_INPUT, parseProgram } from '../../../../../src-main/engines/qemu/find/read-program.ts'
import { answersOf, ended } from './fake-computer.ts'

const read = (output: string): ReturnType<typeof parseProgram> => parseProgram('/usr/bin/q', 'x86_64', ended({ output }))

describe('what a program says it is', () => {
  test('version, boards, devices, features and accelerators', () => {
    expect(read(answersOf({ arch: 'x86_64', version: [7, 2, 22], accelerators: ['kvm', 'tcg', 'xen'] }))).toEqual({
      program: {
        arch: 'x86_64',
        path: '/usr/bin/q',
        version: '7.2.22',
        machineTypes: [
          { name: 'microvm', alias: null, maxCpus: 288 },
          { name: 'pc-q35-8.2', alias: 'q35', maxCpus: 1024 },
        ],
        devices: ['e1000e', 'virtio-9p-pci', 'virtio-net-pci'],
        features: [
          ...['sandbox', 'vnc', 'netdev-stream', 'screendump-png', 'throttle-group', 'tpm-emulator', 'shared-folders'],
          ...['snapshot-save', 'background-snapshot'],
        ],
      },
      accelerators: ['kvm', 'tcg'],
    })
  })

  test('older versions have fewer features', () => {
    const old = read(answersOf({ arch: 'x86_64', version: [7, 1, 0] }))
    if (typeof old === 'string') throw new Error(old)
    expect(old.program.features).toContain('screendump-png')
    expect(old.program.features).not.toContain('netdev-stream')
  })

  test('a question that this version does not know costs its feature, not the program', () => {
    const output = answersOf({ arch: 'x86_64' })
      .split('\r\n')
      .map((line) =>
        line.includes('"id":"query-tpm-types"') ? '{"error":{"class":"CommandNotFound","desc":"…"},"id":"query-tpm-types"}' : line,
      )
      .join('\r\n')
    const answer = read(output)
    if (typeof answer === 'string') throw new Error(answer)
    expect(answer.program.features).not.toContain('tpm-emulator')
    expect(answer.program.features).toContain('vnc')
  })

  test('a build joins cards to this computer’s network (macOS) where it complains of the card, not of the kind', () => {
    const featuresWhere = (desc: string): readonly string[] => {
      const answer = read(
        answersOf({ arch: 'x86_64' }) + `${JSON.stringify({ id: 'net-vmnet', error: { class: 'GenericError', desc } })}\r\n`,
      )
      if (typeof answer === 'string') throw new Error(answer)
      return answer.program.features
    }
    expect(featuresWhere("unsupported ifname 'none', expected one of [ en0 en1 ]")).toContain('netdev-vmnet')
    expect(featuresWhere("Parameter 'type' does not accept value 'vmnet-bridged'")).not.toContain('netdev-vmnet')
  })

  test('drivers for disks on the network are there where they complain of what they were asked', () => {
    const refusal = (id: string, desc: string): string => `${JSON.stringify({ id, error: { class: 'GenericError', desc } })}\r\n`
    const answer = read(
      answersOf({ arch: 'x86_64' }) +
        refusal('disk-nbd', 'No TLS credentials with id ‘none’') +
        refusal('disk-iscsi', 'Unknown driver ‘iscsi’') +
        refusal('disk-nfs', 'Invalid URL specified'),
    )
    if (typeof answer === 'string') throw new Error(answer)
    expect(answer.program.features.filter((feature) => feature.startsWith('disk-'))).toEqual(['disk-nbd', 'disk-nfs'])
  })

  test('what is no QEMU, or another one than its name says, is named so', () => {
    expect(read('hello\n')).toBe('It is no QEMU, or one that does not start.')
    expect(read(answersOf({ arch: 'sparc' }))).toBe('It runs sparc guests, unlike its name says.')
    expect(parseProgram('/q', 'x86_64', ended({ end: 'limit', code: null }))).toBe('It did not answer within 15 seconds.')
    expect(parseProgram('/q', 'x86_64', ended({ end: 'output', code: null }))).toBe('It said more than any QEMU would.')
    expect(parseProgram('/q', 'x86_64', ended({ code: 127, messages: '/q: error while loading shared libraries: libfdt.so.1\n' }))).toBe(
      'It ended with status 127. It says: /q: error while loading shared libraries: libfdt.so.1',
    )
  })

  test('any answers give a program or a sentence', () => {
    const lines = answersOf({ arch: 'x86_64' }).split('\r\n')
    fc.assert(
      fc.property(fc.nat(lines.length - 1), fc.json(), (at, json) => {
        const answer = read(
          [...lines.slice(0, at), `{"id":${JSON.stringify(idOf(lines[at]!))},"return":${json}}`, ...lines.slice(at + 1)].join('\n'),
        )
        expect(typeof answer === 'string' ? answer : answer.program.path).toBeTruthy()
      }),
    )
    fc.assert(fc.property(fc.string(), (text) => typeof read(text) === 'string'))
  })

  test('too many machine types are not believed', () => {
    expect(read(answersOf({ arch: 'x86_64', machines: Array.from({ length: 3000 }, (_, at) => `m${at}`) }))).toBe(
      'Its answers cannot be read.',
    )
  })

  test('quit is the last question', () => {
    expect(JSON.parse(ASK_INPUT.trimEnd().split('\n').at(-1)!)).toMatchObject({ execute: 'quit' })
  })
})

function idOf(line: string): string {
  return (JSON.parse(line === '' ? '{}' : line) as { id?: string }).id ?? 'none'
}
