/** The doctor's report as plain text, for a mail or an issue. */
import type { DoctorReport, HostInfo } from '../../../src-shared/api/system.ts'

export function reportText(report: DoctorReport, info: HostInfo | null): string {
  const versions = info ? Object.entries(info.versions).map(([name, version]) => `${name} ${version}`) : []
  const head = info ? [`Coppice ${info.version} on ${info.platform} ${info.arch} (${info.shell})`, versions.join(', ')] : []
  const checks = report.checks.map((check) =>
    [`[${check.state}] ${check.title}: ${check.detail}`, check.advice === null ? '' : `    ${check.advice}`].filter(Boolean).join('\n'),
  )
  return [...head, `Examined ${report.at}`, '', report.summary, '', ...checks, ''].join('\n')
}
