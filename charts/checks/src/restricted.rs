//! The restricted profile of Pod Security, and what is asked beyond it.

use serde_json::Value;

/// A pod's spec keeps to the restricted profile, with a number as its user, a read-only root and limits of memory.
///
/// # Errors
/// The first thing that it does not keep to.
pub fn restricted(pod: &Value) -> Result<(), String> {
    let own = &pod["securityContext"];
    require(own["runAsNonRoot"] == true, "runAsNonRoot")?;
    require(own["runAsUser"].as_u64().is_some_and(|user| user > 0), "runAsUser is a number")?;
    require(own["seccompProfile"]["type"] == "RuntimeDefault", "seccompProfile RuntimeDefault")?;
    for forbidden in ["hostNetwork", "hostPID", "hostIPC"] {
        require(pod[forbidden].is_null(), forbidden)?;
    }
    let lists = ["containers", "initContainers"];
    let containers = lists.iter().filter_map(|list| pod[*list].as_array()).flatten();
    for container in containers {
        let context = &container["securityContext"];
        require(context["allowPrivilegeEscalation"] == false, "allowPrivilegeEscalation: false")?;
        require(context["readOnlyRootFilesystem"] == true, "readOnlyRootFilesystem: true")?;
        require(context["capabilities"]["drop"][0] == "ALL", "capabilities are dropped")?;
        require(context["capabilities"]["add"].is_null(), "no capability is added")?;
        require(context["privileged"].is_null(), "privileged")?;
        require(!container["resources"]["limits"]["memory"].is_null(), "a limit of memory")?;
        require(!container["resources"]["requests"]["cpu"].is_null(), "a request of CPU")?;
    }
    let volumes = pod["volumes"].as_array();
    require(volumes.iter().all(|all| all.iter().all(|one| one["hostPath"].is_null())), "hostPath")
}

fn require(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("not restricted: {what}")) }
}
