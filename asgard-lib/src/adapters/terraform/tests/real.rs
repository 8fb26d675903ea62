//! Runs of the shipped modules with the real engine. Without one these tests fail: they are what shows that runs work.

use super::*;
use crate::domain::run::{Change, Inventory, PlanSummary};
use serde_json::Map;
use zeroize::Zeroizing;

/// The engine that ASGARD_TEST_TERRAFORM names, or `terraform` on the PATH.
#[allow(clippy::disallowed_methods, reason = "tests look for programs where the person who runs them does")]
pub(super) fn engine() -> PathBuf {
    if let Ok(named) = std::env::var("ASGARD_TEST_TERRAFORM") {
        return named.into();
    }
    let found = std::env::split_paths(&path()).map(|folder| folder.join("terraform")).find(|bin| bin.is_file());
    found.expect("these tests need Terraform: put `terraform` on the PATH or name it in ASGARD_TEST_TERRAFORM")
}

pub(super) fn local_demo() -> BTreeMap<String, Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/modules/local/local-demo");
    let files = entries(Path::new(folder)).into_iter().filter(|path| path.extension().is_some_and(|e| e == "tf"));
    files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())).collect()
}

/// A demo as the control side would carry it from run to run.
pub(super) struct Demo {
    pub folder: tempfile::TempDir,
    pub state: Option<Vec<u8>>,
    pub variables: Map<String, Value>,
    pub plan: Option<Zeroizing<Vec<u8>>>,
}

impl Demo {
    pub(crate) fn new(inputs: Value) -> Self {
        let mut variables = json!({"name": "hello", "project_id": "proj-2026-0001", "rotation": 0});
        variables.as_object_mut().unwrap().extend(inputs.as_object().unwrap().clone());
        Self { folder: testkit::folder(), state: None, variables: variables.as_object().cloned().unwrap(), plan: None }
    }
    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }
    pub(crate) fn order(&self, op: RunOp) -> Order {
        let mut order = order(op, Value::Object(self.variables.clone()));
        order.files = local_demo();
        order.outputs = [("id".into(), false), ("token".into(), true)].into();
        order.state = self.state.clone().map(Zeroizing::new);
        order.plan = self.plan.clone().filter(|_| op.changes_things());
        order
    }
    pub(crate) async fn run(&mut self, op: RunOp) -> (Option<RunOutcome>, FakeReporter) {
        let reporter = FakeReporter::default();
        let mut ending = carry_out(&self.order(op), &reporter, &self.work(), &engine()).await;
        self.state = reporter.states().last().cloned().or_else(|| self.state.take());
        if let Some(RunOutcome::Planned { plan, .. }) = &mut ending {
            self.plan = Some(std::mem::take(plan));
        }
        (ending, reporter)
    }
    pub(crate) async fn plan(&mut self, op: RunOp) -> PlanSummary {
        let (ending, reporter) = self.run(op).await;
        let Some(RunOutcome::Planned { summary, .. }) = ending else {
            panic!("{} {}", describe(&ending), reporter.text())
        };
        summary
    }
}

#[tokio::test]
async fn a_demo_is_planned_applied_compared_rotated_and_destroyed() {
    let mut demo = Demo::new(json!({"seconds": 2}));
    let plan = demo.plan(RunOp::Plan).await;
    assert_eq!((plan.create, plan.update, plan.replace, plan.delete, plan.outputs_changed), (6, 0, 0, 0, true));
    assert_eq!(plan.changes[0].change, Change::Create);
    assert_eq!(plan.digest.len(), 64);

    let (ending, reporter) = demo.run(RunOp::Apply).await;
    let Some(RunOutcome::Applied { outputs }) = ending else { panic!("{} {}", describe(&ending), reporter.text()) };
    let token = outputs["token"].value.as_str().unwrap().to_owned();
    assert!(outputs["token"].sensitive && !outputs["id"].sensitive);
    assert!(reporter.serials().len() >= 4, "the state is stored step by step: {:?}", reporter.serials());
    let text = reporter.text();
    assert!(text.contains("apply_complete terraform_data.demo Creation complete"), "{text}");
    assert!(text.contains("provision_progress terraform_data.step_1 "), "{text}");
    assert!(!text.contains(&token));
    assert!(reporter.engine_name().unwrap().starts_with("terraform 1."));
    assert_eq!(entries(&demo.work()), Vec::<PathBuf>::new());

    assert!(demo.plan(RunOp::Plan).await.is_empty());
    let (ending, _) = demo.run(RunOp::Refresh).await;
    assert!(matches!(&ending, Some(RunOutcome::Refreshed { drift }) if drift.is_empty()), "{}", describe(&ending));

    demo.variables.insert("rotation".into(), json!(1));
    let plan = demo.plan(RunOp::Plan).await;
    assert_eq!((plan.create, plan.replace, plan.delete), (0, 1, 0));
    let (ending, reporter) = demo.run(RunOp::Apply).await;
    let Some(RunOutcome::Applied { outputs }) = ending else { panic!("{}", describe(&ending)) };
    let rotated = outputs["token"].value.as_str().unwrap();
    assert_ne!(rotated, token);
    assert!(!reporter.text().contains(rotated) && !reporter.text().contains(&token));

    let plan = demo.plan(RunOp::PlanDestroy).await;
    assert_eq!((plan.create, plan.delete), (0, 6));
    let (ending, _) = demo.run(RunOp::Destroy).await;
    assert!(matches!(ending, Some(RunOutcome::Destroyed)), "{}", describe(&ending));
    assert!(Inventory::of(demo.state.as_ref().unwrap()).addresses().is_empty());
}

#[tokio::test]
async fn a_plan_is_applied_to_what_it_was_made_from_or_not_at_all() {
    let mut demo = Demo::new(json!({}));
    demo.plan(RunOp::Plan).await;
    demo.variables.insert("monthly_usd".into(), json!(3));
    let (ending, reporter) = demo.run(RunOp::Apply).await;
    assert!(
        describe(&ending).starts_with("stale: Since the plan was made, the inputs are others"),
        "{}",
        describe(&ending)
    );
    assert!(reporter.serials().is_empty() && !reporter.text().contains("apply_start"));

    let first = demo.plan(RunOp::Plan).await;
    let old = demo.plan.clone();
    let again = demo.plan(RunOp::Plan).await;
    assert_ne!(first.digest, again.digest);
    assert!(matches!(demo.run(RunOp::Apply).await.0, Some(RunOutcome::Applied { .. })));
    demo.plan = old;
    let (ending, reporter) = demo.run(RunOp::Apply).await;
    assert!(describe(&ending).contains("the state moved from serial 0 to"), "{}", describe(&ending));
    assert!(reporter.serials().is_empty());
}

#[tokio::test]
async fn failures_are_told_in_the_modules_words_and_keep_what_exists() {
    let mut demo = Demo::new(json!({"fail_at": "plan"}));
    let (ending, _) = demo.run(RunOp::Plan).await;
    let told = describe(&ending);
    assert!(
        told.starts_with("failed: ") && told.contains("local-demo fails at plan, as its input fail_at asks"),
        "{told}"
    );

    demo.variables.insert("fail_at".into(), json!("apply"));
    demo.plan(RunOp::Plan).await;
    let (ending, reporter) = demo.run(RunOp::Apply).await;
    let told = describe(&ending);
    assert!(told.contains("local-exec provisioner error") && told.ends_with("[]"), "{told}");
    assert!(reporter.text().contains("local-demo fails at apply"), "{}", reporter.text());
    let left = Inventory::of(demo.state.as_ref().unwrap()).addresses();
    assert!(left.contains("terraform_data.token") && !left.contains("terraform_data.demo"), "{left:?}");

    let mut broken = Demo::new(json!({"seconds": "many"}));
    let (ending, _) = broken.run(RunOp::Plan).await;
    assert!(describe(&ending).contains("Invalid value for input variable"), "{}", describe(&ending));
}

#[tokio::test]
async fn a_module_sees_nothing_of_asgards_and_prints_no_secret() {
    let mut order = order(RunOp::Plan, json!({"secret": SECRET}));
    let module = r#"
        variable "secret" { type = string }
        resource "terraform_data" "env" {
          input = var.secret
          provisioner "local-exec" {
            command = <<-EOT
              env; cat /proc/$PPID/environ | tr '\0' '\n'
              s='${var.secret}'; printf %s "$s" | base64
              printf %s "$s" | cut -c1-8 | tr -d '\n'; sleep 0.4; printf %s "$s" | cut -c9-
            EOT
          }
        }
        output "made" { value = "x" }"#;
    order.files = [("main.tf".to_owned(), module.as_bytes().to_vec())].into();
    order.child_env.push(("AWS_SECRET_ACCESS_KEY".into(), SecretText::new("aws-key-of-the-target")));
    order.child_env.push(("ASGARD_SECRET_KEY".into(), SecretText::new("0123456789abcdef")));
    let folder = testkit::folder();
    let reporter = FakeReporter::default();
    let ending = carry_out(&order, &reporter, folder.path(), &engine()).await;
    let Some(RunOutcome::Planned { plan, .. }) = ending else { panic!("{}", describe(&ending)) };
    (order.run, order.op, order.plan) = (run_id(), RunOp::Apply, Some(plan));
    let ending = carry_out(&order, &reporter, folder.path(), &engine()).await;
    assert!(matches!(ending, Some(RunOutcome::Applied { .. })), "{}", describe(&ending));
    let text = reporter.text();
    assert!(text.contains("TF_IN_AUTOMATION=1") && text.contains("AWS_SECRET_ACCESS_KEY=(secret)"), "{text}");
    let encoded = data_encoding::BASE64.encode(SECRET.as_bytes());
    for hidden in ["ASGARD", "0123456789abcdef", "aws-key", SECRET, &encoded, "secret-value"] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
}
