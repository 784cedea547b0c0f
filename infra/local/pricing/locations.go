package pricing

// location is a Region as the price list has it: its name, and what stands before the usage types of its prices.
type location struct{ region, name, prefix string }

// locations are in the order of the price list here.
var locations = []location{
	{"us-east-1", "US East (N. Virginia)", "USE1"}, {"us-east-2", "US East (Ohio)", "USE2"}, {"us-west-1", "US West (N. California)", "USW1"},
	{"us-west-2", "US West (Oregon)", "USW2"}, {"af-south-1", "Africa (Cape Town)", "AFS1"}, {"ap-east-1", "Asia Pacific (Hong Kong)", "APE1"},
	{"ap-northeast-1", "Asia Pacific (Tokyo)", "APN1"}, {"ap-northeast-2", "Asia Pacific (Seoul)", "APN2"}, {"ap-northeast-3", "Asia Pacific (Osaka)", "APN3"},
	{"ap-south-1", "Asia Pacific (Mumbai)", "APS3"}, {"ap-south-2", "Asia Pacific (Hyderabad)", "APS5"}, {"ap-southeast-1", "Asia Pacific (Singapore)", "APS1"},
	{"ap-southeast-2", "Asia Pacific (Sydney)", "APS2"}, {"ap-southeast-3", "Asia Pacific (Jakarta)", "APS4"}, {"ap-southeast-4", "Asia Pacific (Melbourne)", "APS6"},
	{"ca-central-1", "Canada (Central)", "CAN1"}, {"ca-west-1", "Canada West (Calgary)", "CAN2"}, {"eu-central-1", "EU (Frankfurt)", "EUC1"},
	{"eu-central-2", "Europe (Zurich)", "EUC2"}, {"eu-north-1", "EU (Stockholm)", "EUN1"}, {"eu-south-1", "EU (Milan)", "EUS1"},
	{"eu-south-2", "Europe (Spain)", "EUS2"}, {"eu-west-1", "EU (Ireland)", "EU"}, {"eu-west-2", "EU (London)", "EUW2"}, {"eu-west-3", "EU (Paris)", "EUW3"},
	{"il-central-1", "Israel (Tel Aviv)", "ILC1"}, {"me-central-1", "Middle East (UAE)", "MEC1"}, {"me-south-1", "Middle East (Bahrain)", "MES1"},
	{"sa-east-1", "South America (Sao Paulo)", "SAE1"},
}

// usage is a usage type in a location. The oldest ones have no prefix in us-east-1.
func (l location) usage(name string, old bool) string {
	if old && l.region == "us-east-1" {
		return name
	}
	return l.prefix + "-" + name
}
