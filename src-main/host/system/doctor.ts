/** What this computer can run, and why. Nothing is looked at before somebody asks. */
import type { DoctorCheck, DoctorReport } from '../../../src-shared/api/system.ts'
import type { QemuFacts } from '../../../src-shared/model/engine-facts.ts'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import type { Check, DoctorSubject, Examination, Finding } from './check.ts'
import { CHECKS } from './checks.ts'

/** ms for one check. */
const PATIENCE = 20_000

export interface DoctorSource {
  /** Never rejects: a check that fails says so in its place. */
  report(): Promise<DoctorReport>
}

/** @param checks others than the product's, for tests */
export function createDoctor(subject: DoctorSubject, checks: readonly Check[] = CHECKS): DoctorSource {
  const lasting = new Map<string, Finding>()
  let underWay: Promise<DoctorReport> | null = null

  let examined = false

  const look = async (check: Check, examination: Examination): Promise<DoctorCheck | null> => {
    const finding =
      lasting.get(check.id) ??
      (await within(
        PATIENCE,
        Promise.resolve().then(() => check.look(examination)),
      ))
    if (!finding) return null
    if (check.lasting && finding.state === 'ok') lasting.set(check.id, finding)
    const { id, group, title } = check
    return { id, group, title, state: finding.state, detail: finding.detail, advice: finding.advice ?? null }
  }
  const examine = async (): Promise<DoctorReport> => {
    // Who examines again has changed something, or hopes so.
    const refresh = examined
    examined = true
    let qemu: Promise<QemuFacts> | null = null
    const examination: Examination = { ...subject, qemu: () => (qemu ??= subject.findQemu(refresh)) }
    const found = (await Promise.all(checks.map((check) => look(check, examination)))).filter((one) => one !== null)
    return { at: new Date().toISOString(), summary: summaryOf(found), checks: found }
  }
  return {
    // Several who ask at once share one examination.
    report: () => (underWay ??= examine().finally(() => (underWay = null))),
  }
}

async function within(ms: number, looking: Promise<Finding | null>): Promise<Finding | null> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Finding>((resolve) => {
    timer = setTimeout(
      () => resolve({ state: 'warning', detail: `There was no answer within ${ms / 1000} seconds.`, advice: 'Try again.' }),
      ms,
    )
  })
  try {
    return await Promise.race([looking, late])
  } catch (error) {
    return { state: 'warning', detail: `This could not be examined. ${asAppError(error).message}` }
  } finally {
    clearTimeout(timer)
  }
}

export function summaryOf(checks: readonly DoctorCheck[]): string {
  const problems = checks.filter(({ state }) => state === 'problem')
  const warnings = checks.filter(({ state }) => state === 'warning')
  const names = (some: readonly DoctorCheck[]): string => some.map(({ title }) => title).join(', ')
  if (problems.length > 0) return `Something keeps machines from working here: ${names(problems)}.`
  if (warnings.length > 0) return `This computer can run machines. Worth a look: ${names(warnings)}.`
  return 'This computer can run machines. Everything that is needed is there.'
}
