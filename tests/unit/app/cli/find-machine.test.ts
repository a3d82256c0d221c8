import { describe, expect, it } from 'vitest'
import { findMachine } from '../../../../src-main/app/cli/find-machine.ts'
import type { MachineView } from '../../../../src-shared/api/machines.ts'

const machine = (id: string, name: string): MachineView => ({ id, name }) as MachineView
const web = machine('1234aaaa-0000-4000-8000-000000000000', 'web')
const db = machine('1234bbbb-0000-4000-8000-000000000000', 'db')
const numbered = machine('99990000-0000-4000-8000-000000000000', '1234')

describe('findMachine', () => {
  it('finds by name, by id and by the only id that begins so', () => {
    expect(findMachine([web, db], 'web')).toBe(web)
    expect(findMachine([web, db], db.id)).toBe(db)
    expect(findMachine([web, db], '1234B')).toBe(db)
  })

  it('prefers a whole name to the beginning of an id', () => {
    expect(findMachine([web, db, numbered], '1234')).toBe(numbered)
  })

  it('says which machines fit where several do', () => {
    expect(() => findMachine([web, db], '1234')).toThrow(`“1234” fits 2 machines. Use an id: ${web.id} (web), ${db.id} (db).`)
  })

  it('says what there is where none fits', () => {
    expect(() => findMachine([web, db], 'x')).toThrow('There is no machine “x”. The library has “web”, “db”.')
    expect(() => findMachine([web], '')).toThrow('There is no machine “”.')
    expect(() => findMachine([], 'x')).toThrow('The library is empty')
  })
})
