package servicequotas

// services are the names of the services that have quotas here.
var services = map[string]string{
	"autoscaling":          "Amazon EC2 Auto Scaling",
	"ebs":                  "Amazon Elastic Block Store (Amazon EBS)",
	"ec2":                  "Amazon Elastic Compute Cloud (Amazon EC2)",
	"eks":                  "Amazon Elastic Kubernetes Service (Amazon EKS)",
	"elasticloadbalancing": "Elastic Load Balancing (ELB)",
	"fargate":              "AWS Fargate",
	"iam":                  "AWS Identity and Access Management (IAM)",
	"kms":                  "AWS Key Management Service (AWS KMS)",
	"s3":                   "Amazon Simple Storage Service (Amazon S3)",
	"vpc":                  "Amazon Virtual Private Cloud (Amazon VPC)",
}

// entry is a quota. applied is what the account has where that is not the default: a new account's few vCPUs are what
// AWS raises first, by itself, as an account is used.
type entry struct {
	service, code, name string
	value, applied      float64
	fixed               bool // cannot be raised
}

// catalogue has the quotas that cluster creation meets, with the codes and default values of Service Quotas.
//
// What EC2 enforces, for itself and for VPC, it is asked for: see EC2. EKS, IAM and S3 enforce what is marked so. The
// others are numbers that a careful client compares its plans with, and that nothing here enforces.
var catalogue = []entry{
	{service: "autoscaling", code: "L-CDE20ADC", name: "Auto Scaling groups per region", value: 500},
	{service: "autoscaling", code: "L-6B80B8FA", name: "Launch configurations per region", value: 200},

	{service: "ebs", code: "L-7A658B76", name: "Storage for General Purpose SSD (gp3) volumes, in TiB", value: 50},

	{service: "ec2", code: "L-0263D0A3", name: "EC2-VPC Elastic IPs", value: 5},
	{service: "ec2", code: "L-1216C47A", name: "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", value: 5},
	{service: "ec2", code: "L-34B43A08", name: "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", value: 5},
	{service: "ec2", code: "L-DB2E81BA", name: "Running On-Demand G and VT instances", value: 0},
	{service: "ec2", code: "L-3819A6DF", name: "All G and VT Spot Instance Requests", value: 0},
	{service: "ec2", code: "L-417A185B", name: "Running On-Demand P instances", value: 0},
	{service: "ec2", code: "L-7212CCBC", name: "All P4, P3 and P2 Spot Instance Requests", value: 0},
	{service: "ec2", code: "L-1945791B", name: "Running On-Demand Inf instances", value: 0},
	{service: "ec2", code: "L-B5D1601B", name: "All Inf Spot Instance Requests", value: 0},
	{service: "ec2", code: "L-2C3B7624", name: "Running On-Demand Trn instances", value: 0},
	{service: "ec2", code: "L-6B0D517C", name: "All Trn Spot Instance Requests", value: 0},
	{service: "ec2", code: "L-7295265B", name: "Running On-Demand X instances", value: 0},
	{service: "ec2", code: "L-E3A00192", name: "All X Spot Instance Requests", value: 0},

	{service: "eks", code: "L-1194D53C", name: "Clusters", value: 100},                       // enforced
	{service: "eks", code: "L-6D54EA21", name: "Managed node groups per cluster", value: 30}, // enforced
	{service: "eks", code: "L-BD136A63", name: "Nodes per managed node group", value: 450},
	{service: "eks", code: "L-33415657", name: "Fargate profiles per cluster", value: 10},            // enforced
	{service: "eks", code: "L-D78D8AF8", name: "Selectors per Fargate profile", value: 5},            // enforced
	{service: "eks", code: "L-23414FF3", name: "Label pairs per Fargate profile selector", value: 5}, // enforced
	{service: "eks", code: "L-11427A54", name: "Control plane security groups per cluster", value: 4, fixed: true},
	{service: "eks", code: "L-93A74D60", name: "Public endpoint access CIDR ranges per cluster", value: 40, fixed: true},
	{service: "eks", code: "L-FDFA5F81", name: "Registered clusters", value: 10},

	{service: "elasticloadbalancing", code: "L-53DA6B97", name: "Application Load Balancers per Region", value: 50},
	{service: "elasticloadbalancing", code: "L-69A177A2", name: "Network Load Balancers per Region", value: 50},
	{service: "elasticloadbalancing", code: "L-E9E9831D", name: "Classic Load Balancers per Region", value: 20},
	{service: "elasticloadbalancing", code: "L-B22855CB", name: "Target Groups per Region", value: 3000},

	{service: "fargate", code: "L-3032A538", name: "Fargate On-Demand vCPU resource count", value: 6, applied: 4000},

	// All enforced.
	{service: "iam", code: "L-FE177D64", name: "Roles per account", value: 1000},
	{service: "iam", code: "L-6E65F664", name: "Instance profiles per account", value: 1000},
	{service: "iam", code: "L-E95E4862", name: "Customer managed policies per account", value: 1500},
	{service: "iam", code: "L-858F3967", name: "OpenId connect providers per account", value: 100},
	{service: "iam", code: "L-0DA4ABF3", name: "Managed policies per role", value: 10},
	{service: "iam", code: "L-C07B4B0D", name: "Role trust policy length", value: 2048},

	{service: "kms", code: "L-C2F1777E", name: "Customer Master Keys (CMKs)", value: 100000},

	{service: "s3", code: "L-DC2B2D3D", name: "General purpose buckets", value: 10000}, // enforced

	{service: "vpc", code: "L-F678F1CE", name: "VPCs per Region", value: 5},
	{service: "vpc", code: "L-A4707A72", name: "Internet gateways per Region", value: 5},
	{service: "vpc", code: "L-45FE3B85", name: "Egress-only internet gateways per Region", value: 5},
	{service: "vpc", code: "L-FE5A380F", name: "NAT gateways per Availability Zone", value: 5},
	{service: "vpc", code: "L-407747CB", name: "Subnets per VPC", value: 200},
	{service: "vpc", code: "L-589F43AA", name: "Route tables per VPC", value: 200},
	{service: "vpc", code: "L-93826ACB", name: "Routes per route table", value: 500},
	{service: "vpc", code: "L-E79EC296", name: "VPC security groups per Region", value: 2500},
	{service: "vpc", code: "L-0EA8095F", name: "Inbound or outbound rules per security group", value: 60},
	{service: "vpc", code: "L-2AFB9258", name: "Security groups per network interface", value: 5},
	{service: "vpc", code: "L-DF5E4CA3", name: "Network interfaces per Region", value: 5000},
	{service: "vpc", code: "L-83CA0A9D", name: "IPv4 CIDR blocks per VPC", value: 5},
	{service: "vpc", code: "L-1B52E74A", name: "Gateway VPC endpoints per Region", value: 20},
	{service: "vpc", code: "L-29B6F2EB", name: "Interface VPC endpoints per VPC", value: 50},
}
